"""Views: a slide, an image or a blank canvas at the scale of a picture, before anything is drawn on it.

Sizes are (w, h), positions (x, y); ``_px0`` is level-0 pixels, ``_px`` pixels of the picture.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from pathplugins.data.images import open_image

from ..slides.bounds import origin_xy
from ..slides.slide import Slide, SlideError
from .drawing import LONGEST_SIDE_PX, scaled_size

PATCH_PX, MOST_PX = 8, 4096  #: the picture grows until patches are this wide, or it is this long
SHORTEST_PX = 1024  #: a smaller image is enlarged until its longer side has as many pixels


class View(NamedTuple):
    """The picture before anything is drawn on it, and where on the slide it lies."""

    picture: Image.Image
    origin_px0: np.ndarray
    """``[2]`` (x, y) of its top-left corner."""
    scale: float
    """Its pixels per level-0 pixel."""
    qupath_xy: tuple[int, int] = (0, 0)
    """Where QuPath counts from on this slide, level-0 pixels."""


def view_of(slide: Path | None, coords_xy: np.ndarray, side_px0: int) -> View:
    """Return a view of a whole slide, or without one a white canvas with a margin of one patch around all patches.

    Args:
        slide: The slide that the patches were cut from.
        coords_xy: ``[N, 2]`` top-left corners of the patches, level-0 pixels; at least one.
        side_px0: Side of a patch.

    Raises:
        SlideError: patches lie outside the slide.
    """
    return _blank(coords_xy, side_px0) if slide is None else _of_slide(slide, coords_xy, side_px0)


def view_of_image(path: Path) -> View:
    """Return a view of an image file, 1,024 to 2,048 pixels on its longer side; its level 0 is the file itself."""
    image = open_image(path)
    longest = max(image.size)
    scale = min(max(1.0, SHORTEST_PX / longest), LONGEST_SIDE_PX / longest)
    size = scaled_size(image.size, scale)
    return View(image.resize(size, Image.Resampling.BICUBIC), np.zeros(2, np.int64), scale)


def _of_slide(path: Path, coords_xy: np.ndarray, side_px0: int) -> View:
    with Slide(path) as slide:
        w0, h0 = slide.size_px0
        outside = (coords_xy >= (w0, h0)).any(axis=1)
        if outside.any():
            raise SlideError(
                f"{path} is {w0} x {h0} pixels but {int(outside.sum())} of {len(coords_xy)} patches start outside it, "
                f"one at x, y = {coords_xy[outside.argmax()].tolist()}; the bag is of another slide: give its own, or "
                "none for a blank canvas"
            )
        scale = _scale((w0, h0), side_px0)
        picture = Image.fromarray(slide.thumbnail(scaled_size((w0, h0), scale)))
        return View(picture, np.zeros(2, np.int64), scale, origin_xy(slide.properties))


def _blank(coords_xy: np.ndarray, side_px0: int) -> View:
    origin = coords_xy.min(axis=0) - side_px0
    w0, h0 = (coords_xy.max(axis=0) + 2 * side_px0 - origin).tolist()
    scale = _scale((w0, h0), side_px0)
    return View(Image.new("RGB", scaled_size((w0, h0), scale), "white"), origin, scale)


def _scale(size_px0: tuple[int, int], side_px0: int) -> float:
    """Return the pixels of the picture per level-0 pixel."""
    longest = max(size_px0)
    return min(1.0, max(LONGEST_SIDE_PX / longest, min(PATCH_PX / side_px0, MOST_PX / longest)))
