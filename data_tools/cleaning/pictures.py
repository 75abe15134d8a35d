"""What is measured of one image: whether it decodes, its size, contrast and sharpness, and a small grey copy."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PIL import Image

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.images import MAX_PIXELS, BadImage, on_image, to_rgb
from pathplugins.data.records import image_failure

from .turned import SIDE

_LOOKED_AT = 512


class Picture(NamedTuple):
    """An image, or why it cannot be used."""

    fault: str
    """A short reason as in the reports of other commands, e.g. ``missing file``; empty for a good image."""
    width: int
    height: int
    spread: float
    """Standard deviation of the grey values, 0 to 127.5, of the middle 512 x 512 pixels."""
    gradient: float
    """Mean absolute difference of neighbours, grey values, of the same pixels; low where the image is blurred."""
    small: np.ndarray | None
    """[SIDE, SIDE] uint8: grey, each value the mean of its part of the image; None with a fault."""


def look(path: str) -> Picture:
    """Decode an image whole and measure it; an image of more than 16,777,216 pixels is not decoded."""
    try:
        return on_image(path, _measured)
    except (BadImage, PathPluginsError, OSError) as error:
        return Picture(image_failure(path, error)[0], 0, 0, 0.0, 0.0, None)


def _measured(image: Image.Image) -> Picture:
    w, h = image.size
    if w * h > MAX_PIXELS:
        return Picture("too many pixels", w, h, 0.0, 0.0, None)
    grey = to_rgb(image).convert("L")
    left, top = max(0, w - _LOOKED_AT) // 2, max(0, h - _LOOKED_AT) // 2
    middle = np.asarray(grey.crop((left, top, min(w, left + _LOOKED_AT), min(h, top + _LOOKED_AT))), np.int16)  # [H, W]
    steps = [np.abs(np.diff(middle, axis=axis)) for axis in (0, 1)]
    gradient = sum(float(step.mean()) for step in steps if step.size) / 2
    small = np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.BOX))
    return Picture("", w, h, round(float(middle.std()), 2), round(gradient, 2), small)
