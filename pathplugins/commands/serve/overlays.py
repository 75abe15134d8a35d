"""Overlays: tissue, patches, the tokens a model kept and where an answer looked, as numbers that a page draws.

Positions are (x, y) in level-0 pixels, or in pixels of an image as its file stores it.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pathplugins.commands.explaining import Explanation, explain
from pathplugins.commands.prompting import conversation
from pathplugins.commands.selection import locate, selector_mode
from pathplugins.commands.serve.shown import read_file
from pathplugins.commands.serve.state import ServerState
from pathplugins.commands.serve.tiles import OpenSlides
from pathplugins.commands.serve.turns import prompt_of
from pathplugins.commands.token_places import token_places
from pathplugins.core.errors import PathPluginsError
from pathplugins.models.selectors import SELECTORS

if TYPE_CHECKING:
    from pathplugins.models.custom_llava.opened_image import OpenedImage

MOST_KEPT = 32  #: results that are kept
Messages = Sequence[Mapping[str, str]]
"""Turns of a conversation, as `pathplugins.commands.serve.turns` takes them."""


class Overlays:
    """What is known of the files of a server, computed when it is first asked for.

    Args:
        state: of the server; the model is run on its engine's thread.
        slides: that are open.
    """

    def __init__(self, state: ServerState, slides: OpenSlides) -> None:
        self._state, self._slides = state, slides
        self._tissue, self._explained = _Kept(), _Kept()

    def tissue(self, slide: Path) -> dict[str, Any]:
        """Return the outlines of the tissue of a slide: ``polygons`` of rings of [x, y], and ``notes``.

        Raises:
            PathPluginsError: no resolution, or it cannot be read.
        """
        return self._tissue.get((slide, *_stamp(slide)), lambda: self._found_tissue(slide))

    def patches(self, path: Path) -> dict[str, Any]:
        """Return the patches of a file's bag: ``xy``, their top-left corners one after the other, and ``size``.

        Raises:
            PathPluginsError: a slide that has no bag yet, or a bag that does not say where its patches lie.
        """
        bag, slide = read_file(self._state, path)
        place = locate(bag, slide)
        return {"xy": place.coords_xy.ravel().tolist(), "size": place.size_px0}

    def kept(self, path: Path, messages: Messages) -> dict[str, Any]:
        """Return where the vision tokens lie that the language model gets.

        Args:
            path: slide, bag or image.
            messages: the conversation up to a question, for a selector that looks at it; none for any other.

        Returns:
            ``boxes`` of [x, y, w, h], ``selector``, and ``read``: of how many patches they were chosen.

        Raises:
            PathPluginsError: as `read_file` and `token_places`, or the selector looks at a question and none was asked.
        """
        processor: Any = self._state.model.processor
        mode = selector_mode(processor)
        if not messages and SELECTORS.get(mode).needs_prompt:
            raise PathPluginsError(f"the token selector {mode} looks at the question: ask one first")
        tokenizer = processor.tokenizer
        prompt = prompt_of(tokenizer, messages) if messages else conversation(tokenizer, "?")
        bag, slide = read_file(self._state, path)
        places = self._on_model(bag, lambda model, opened: token_places(model, opened, prompt, slide=slide))
        boxes = [[*box] for box in places.boxes if box is not None]
        return {
            "boxes": boxes,
            "selector": mode,
            "read": None if places.chosen is None else len(places.chosen.kept),
        }

    def heat(self, path: Path, messages: Messages, answer: str, word: int | None) -> dict[str, Any]:
        """Return where an answer, or one word of it, looked.

        Args:
            path: slide, bag or image.
            messages: the conversation up to the question.
            answer: what the model said.
            word: number of a word; None is the whole answer.

        Returns:
            ``words`` of the answer; ``boxes`` of [x, y, w, h] with ``levels`` from 0 to 1 for their colours, ``low``
            and ``high``, the attention at the two ends; ``elsewhere``, the share on tokens that are no place.

        Raises:
            PathPluginsError: as `read_file` and `explain`, or there is no such word.
        """
        from pathplugins.data_tools.pictures.colour_scale import ends_of, levels_of

        bag, slide = read_file(self._state, path)
        prompt = prompt_of(self._state.model.processor.tokenizer, messages)  # type: ignore[attr-defined]
        explained: Explanation = self._explained.get(
            (bag, *_stamp(bag), prompt, answer),
            lambda: self._on_model(bag, lambda model, opened: explain(model, opened, prompt, answer, slide=slide)),
        )
        if word is not None and not 0 <= word < len(explained.words):
            raise PathPluginsError(f"the answer has {len(explained.words)} words, got number {word}")
        weights = explained.answer_weights if word is None else explained.weights[word]
        placed = [index for index, box in enumerate(explained.patches) if box is not None]
        if not placed:
            raise PathPluginsError("no vision token of this model stands for a place, so there is nothing to draw")
        low, high = ends_of(weights[placed])
        return {
            "words": explained.words,
            "boxes": [[*explained.patches[index]] for index in placed],  # type: ignore[misc]
            "levels": [round(float(level), 4) for level in levels_of(weights[placed])],
            "low": low,
            "high": high,
            "elsewhere": max(0.0, 1 - float(weights[placed].sum())),
        }

    def _on_model(self, bag: Path, work: Callable[[Any, OpenedImage], Any]) -> Any:
        engine = self._state.engine
        return engine.do(lambda model: work(model, engine.opened.get(bag)))

    def _found_tissue(self, path: Path) -> dict[str, Any]:
        import numpy as np

        from pathplugins.data_tools.slides.resolution import resolve
        from pathplugins.data_tools.tiling.one_slide import find_tissue
        from pathplugins.data_tools.tiling.spec import TilingSpec
        from pathplugins.data_tools.tissue.contours import polygons
        from pathplugins.data_tools.tissue.geojson import SIMPLIFY_PX

        with self._slides.slide(path) as shared:
            slide = shared.slide
            mpp = resolve(slide, fallback_mpp=self._state.slides.slide_mpp).mpp
            found = find_tissue(slide, mpp, TilingSpec())
        h, w = found.mask.shape
        scale = np.array([slide.size_px0[0] / w, slide.size_px0[1] / h])
        outlines = polygons(found.mask, tolerance_px=SIMPLIFY_PX)
        rings = [[(ring * scale).round().astype(int).tolist() for ring in polygon] for polygon in outlines]
        return {"polygons": rings, "notes": [*found.notes]}


class _Kept:
    """The results that were asked for last; several threads may ask."""

    def __init__(self) -> None:
        self._found: OrderedDict[Hashable, Any] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], Any]) -> Any:
        with self._lock:
            if key in self._found:
                self._found.move_to_end(key)
                return self._found[key]
        made = make()
        with self._lock:
            self._found[key] = made
            while len(self._found) > MOST_KEPT:
                self._found.popitem(last=False)
        return made


def _stamp(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns
