"""Explanation files: pictures, GeoJSON for QuPath and JSON of where a model looked while it said an answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pathplugins.commands.explaining import Explanation
from pathplugins.commands.loading import LoadedModel
from pathplugins.commands.selection import score_name, selector_mode
from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import replacing, write_text_whole
from pathplugins.core.registry import unknown
from pathplugins.models.selectors import SELECTORS

if TYPE_CHECKING:
    import numpy as np

    from pathplugins.data_tools.pictures.views import View

ATTENTION = "attention to the picture"
"""What the colours and measurements are: shares of the attention to all vision tokens, which add up to 1."""
MARKS = ".,;:!?()[]{}\"'"


class ExplanationFiles:
    """Writes what is asked for of one explanation; the slide or image is read once.

    Args:
        model: of `load_model`.
        file: the bag or image that was asked about.
        explanation: of `explain`.
        question: as it was asked.
        answer: as it was said.
        slide: draw on this slide; a bag is drawn on a blank canvas without.

    Raises:
        PathPluginsError: no vision token is a place, or the slide is not the one of the bag.
    """

    def __init__(
        self,
        model: LoadedModel,
        file: Path,
        explanation: Explanation,
        *,
        question: str,
        answer: str,
        slide: Path | None = None,
    ) -> None:
        import numpy as np

        from pathplugins.data_tools.pictures.views import view_of, view_of_image

        self._model, self._file, self._explanation = model, file, explanation
        self._question, self._answer = question, answer
        self._placed = np.array([box is not None for box in explanation.patches])  # [V]
        if not self._placed.any():
            raise PathPluginsError(f"{file}: no vision token of it is a place, so there is nothing to draw")
        self._boxes = np.array([box for box in explanation.patches if box is not None])  # [K, 4]
        patches = explanation.places.patches
        self._view: View = (
            view_of_image(file) if patches is None else view_of(slide, patches.coords_xy, patches.size_px0)
        )
        self._qupath_xy = self._view.qupath_xy if patches is None or slide is not None else patches.qupath_xy

    def picture(self, out: Path, *, word: str | None = None) -> None:
        """Write where the model looked for the answer, or for a word of it, as a PNG.

        Raises:
            PathPluginsError: the answer has no such word.
        """
        if word is None:
            self._draw(
                out,
                self._explanation.answer_weights,
                self._explanation.looked.mean(),
                "mean over the words of its answer",
            )
            return
        rows = self._rows_of(word)
        times = f", which it says {len(rows)} times (mean)" if len(rows) > 1 else ""
        looked = self._explanation.looked[rows].mean()
        self._draw(out, self._explanation.weights[rows].mean(0), looked, f'for the word "{word}"{times}')

    def picture_of_word(self, out: Path, index: int) -> None:
        """Write where the model looked for the word of that index, as a PNG."""
        found = self._explanation
        place = f'for word {index + 1} of {len(found.words)}, "{found.words[index]}"'
        self._draw(out, found.weights[index], found.looked[index], place)

    def selector_picture(self, out: Path) -> bool:
        """Write what the token selector kept and how it scored the patches, as a PNG; False where it does not rank."""
        from pathplugins.data_tools.pictures.heat_map import selection_picture

        places = self._explanation.places
        if places.chosen is None or places.patches is None or places.chosen.scores is None:
            return False
        mode = selector_mode(self._model.processor)
        picture = selection_picture(
            self._view,
            coords_xy=places.patches.coords_xy[places.chosen.rows],
            patch_size_level0=places.patches.size_px0,
            level0_mpp=places.patches.level0_mpp,
            kept=places.chosen.kept,
            scores=places.chosen.scores,
            score_name=score_name(SELECTORS.get(mode)),
            title=f'{mode}, question "{self._question}"',
        )
        with replacing(out) as png:
            picture.save(png, format="PNG")
        return True

    def geojson(self, out: Path, *, words: bool = False) -> None:
        """Write the patches, or parts of an image, as detections with their attention and their selector's score.

        A patch that was read and not kept has a score alone: the language model never saw it.

        Args:
            out: the file.
            words: measure the attention of each word too.
        """
        import numpy as np

        from pathplugins.data_tools.pictures.legend import KEPT, NOT_KEPT
        from pathplugins.data_tools.tissue.geojson import write_boxes

        found, places = self._explanation, self._explanation.places
        columns = {ATTENTION: found.answer_weights}
        if words:
            columns |= {
                f"{i + 1} {word}": row for i, (word, row) in enumerate(zip(found.words, found.weights, strict=True))
            }
        measurements: dict[str, Any] = {name: row[self._placed] for name, row in columns.items()}  # [K]
        boxes, kept = self._boxes, np.ones(len(self._boxes), bool)
        if places.chosen is not None and places.patches is not None:
            corners = places.patches.coords_xy[places.chosen.rows]
            boxes = np.concatenate([corners, np.full_like(corners, places.patches.size_px0)], axis=1)  # [N, 4]
            kept = places.chosen.kept
            measurements = {name: _spread(row, kept) for name, row in measurements.items()}
            if places.chosen.scores is not None:
                name = score_name(SELECTORS.get(selector_mode(self._model.processor)))
                measurements[name] = places.chosen.scores
        classes = [("kept", KEPT) if mine else ("not kept", NOT_KEPT) for mine in kept.tolist()]
        with replacing(out) as temporary:
            write_boxes(temporary, boxes=boxes, classes=classes, measurements=measurements, origin_xy=self._qupath_xy)

    def json(self, out: Path) -> None:
        """Write all numbers: of each word how much of its attention went to the picture and to each vision token."""
        found = self._explanation
        words = [
            {"word": word, "to_picture": _rounded(looked), "weights": [_rounded(value) for value in row]}
            for word, looked, row in zip(found.words, found.looked.tolist(), found.weights.tolist(), strict=True)
        ]
        scores = self._token_scores()
        tokens: list[dict[str, Any]] = []
        for index, (box, weight) in enumerate(zip(found.patches, found.answer_weights.tolist(), strict=True)):
            token: dict[str, Any] = {"box": None if box is None else list(box), "weight": _rounded(weight)}
            if scores is not None and index in scores:
                token["score"] = _rounded(scores[index])
            tokens.append(token)
        told = {
            "model": self._model.name,
            "file": str(self._file),
            "question": self._question,
            "answer": self._answer,
            "about": "weight: share of a vision token in the attention to all of them, mean over layers and heads of "
            "the language model where the tokens of a word are predicted; to_picture: their share in all attention; "
            "box: x, y, width, height in level-0 pixels; score: of the token selector",
            "tokens": tokens,
            "words": words,
        }
        write_text_whole(out, json.dumps(told, ensure_ascii=False) + "\n")

    def _token_scores(self) -> dict[int, float] | None:
        chosen = self._explanation.places.chosen
        if chosen is None or chosen.scores is None:
            return None
        return dict(zip(self._placed.nonzero()[0].tolist(), chosen.scores[chosen.kept].tolist(), strict=True))

    def _draw(self, out: Path, weights: np.ndarray, looked: float, place: str) -> None:
        from pathplugins.data_tools.pictures.attention_map import attention_picture

        patches = self._explanation.places.patches
        elsewhere, nowhere = float(weights[~self._placed].sum()), "no one patch" if patches else "the padding"
        beside = f", of that {elsewhere:.0%} to tokens of {nowhere}" if elsewhere else ""
        text = (
            f"Where {Path(self._model.name).name} looked, {place}; {looked:.0%} of its attention went to the picture"
            f'{beside}. Attention is what was read, not what decided. Answer: "{self._answer}"'
        )
        picture = attention_picture(
            self._view,
            boxes=self._boxes,
            weights=weights[self._placed],
            name=f"share of the {ATTENTION}",
            text=text,
            level0_mpp=None if patches is None else patches.level0_mpp,
        )
        with replacing(out) as png:
            picture.save(png, format="PNG")

    def _rows_of(self, word: str) -> list[int]:
        words = [each.strip(MARKS).casefold() for each in self._explanation.words]
        rows = [row for row, each in enumerate(words) if each == word.strip(MARKS).casefold()]
        if not rows:
            raise PathPluginsError(unknown("word of the answer", word, self._explanation.words))
        return rows


def _spread(values: np.ndarray, kept: np.ndarray) -> list[float | None]:
    """Return the values of kept patches among all that were read: [K] to N, None elsewhere."""
    left = iter(values.tolist())
    return [next(left) if mine else None for mine in kept.tolist()]


def _rounded(value: float) -> float:
    return float(f"{value:.6g}")
