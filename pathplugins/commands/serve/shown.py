"""Shown: a file below the roots as a viewer shows it, and the bag or image that a model reads of it.

Sizes are (w, h), positions (x, y), all in level-0 pixels: those of a slide, or of an image as its file stores it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, NamedTuple

from pathplugins.commands.selection import locate
from pathplugins.commands.serve.roots import Roots
from pathplugins.commands.serve.state import ServerState
from pathplugins.commands.serve.tiles import OpenSlides
from pathplugins.commands.slide_bags import made_bag
from pathplugins.core.errors import MissingDependencyError, PathPluginsError
from pathplugins.core.suffixes import slide_key
from pathplugins.data.bags import inspect_bag
from pathplugins.data.images import image_size
from pathplugins.models.custom_llava.input_files import kind_of


class Shown(NamedTuple):
    """A file that is looked at."""

    path: Path
    kind: Literal["bag", "image", "slide"]
    size: tuple[int, int]
    """(w, h) of what is shown."""
    canvas: Path | None
    """The slide or image under the layers; None is a blank canvas."""
    mpp: float | None = None
    """Microns per level-0 pixel, where they are known."""
    notes: tuple[str, ...] = ()
    """What the user should know, a sentence each."""


def shown(state: ServerState, slides: OpenSlides, path: Path) -> Shown:
    """Return how a file is shown.

    Raises:
        PathPluginsError: it is neither bag, image nor slide, or cannot be read.
    """
    kind = kind_of(path)
    if kind == "slide":
        return _slide(state, slides, path)
    if kind == "image":
        return Shown(path, "image", image_size(path), path)
    if kind == "bag":
        return _bag(state, slides, path)
    raise PathPluginsError(f"{state.roots.name_of(path)}: neither a slide, nor an image, nor a feature bag (H5)")


def read_file(state: ServerState, path: Path) -> tuple[Path, Path | None]:
    """Return the bag or image that the model reads of a file, and the slide of a bag that cannot be drawn without it.

    Raises:
        PathPluginsError: a slide that no question was asked about yet, or that the model cannot read.
    """
    kind = kind_of(path)
    if kind == "bag":
        info = inspect_bag(path)
        return path, slide_of_bag(state, path) if info.level0_mpp is None or info.nominal else None
    if kind == "image" or state.model.reads == "images":
        return path, None
    made = made_bag(path, _reader(state), state.slides)
    if made is None:
        raise PathPluginsError(
            f"{state.roots.name_of(path)}: its patches are cut and encoded when the first question is asked; ask one"
        )
    return made.bag, path


def slide_of_bag(state: ServerState, bag: Path) -> Path | None:
    """Return the slide below the roots that has the name of a bag's slide; None where there is none."""
    key = slide_key(inspect_bag(bag).slide_id or bag.stem)
    for listed in state.roots.listing():
        if listed.kind == "slide" and slide_key(listed.name.rpartition("/")[2]) == key:
            return state.roots.resolve(listed.name)
    return None


def in_names(roots: Roots, text: str) -> str:
    """Return a message with the names of the roots in place of their folders."""
    for name, folder in roots.folders.items():
        text = text.replace(f"{folder}/", f"{name}/")
    return text


def _slide(state: ServerState, slides: OpenSlides, path: Path) -> Shown:
    from pathplugins.data_tools.slides.resolution import resolve

    with slides.slide(path) as shared:
        size = shared.slide.size_px0
        try:
            resolution = resolve(shared.slide, fallback_mpp=state.slides.slide_mpp)
        except PathPluginsError as error:  # it can be looked at all the same
            return Shown(path, "slide", size, path, notes=(str(error),))
    return Shown(path, "slide", size, path, resolution.mpp, (resolution.note,) if resolution.note else ())


def _bag(state: ServerState, slides: OpenSlides, path: Path) -> Shown:
    slide, notes = slide_of_bag(state, path), ()
    if slide is not None:
        try:
            place = locate(path, slide)
            with slides.slide(slide) as shared:
                return Shown(path, "bag", shared.slide.size_px0, slide, place.level0_mpp)
        except (PathPluginsError, MissingDependencyError) as error:
            notes = (f"Shown without its slide {state.roots.name_of(slide)}: {error}",)
    place, info = locate(path, None), inspect_bag(path)
    w, h = (place.coords_xy.max(axis=0) + place.size_px0).tolist()
    if info.level0_width is not None and info.level0_height is not None:
        w, h = max(w, info.level0_width), max(h, info.level0_height)
    return Shown(path, "bag", (w, h), None, place.level0_mpp, notes)


def _reader(state: ServerState) -> Any:
    processor: Any = state.model.processor
    return processor.image_processor
