"""Decode a picture no finer than its crops need, and scale the crops."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch.nn.functional import interpolate

from pathplugins.classify.pictures.draws import Box
from pathplugins.data.images import to_rgb

_FACTORS = (8, 4, 2)  #: by which libjpeg can shrink while it decodes


def decode(image: Image.Image, name: str, boxes: Sequence[Box], side: int) -> tuple[np.ndarray, int]:
    """Read the pixels of an open picture; a JPEG at a lower scale, where every crop keeps ``side`` pixels there.

    Args:
        image: As Pillow opens it, no pixel read yet.
        name: For errors.
        boxes: What will be cut, in pixels of the whole picture.
        side: To which the crops will be scaled, pixels.

    Returns:
        uint8 ``[h, w, 3]``, and the factor by which it is smaller than the picture on each side.
    """
    smallest, whole = min(min(box[2:]) for box in boxes), image.size
    for factor in _FACTORS:
        if image.format == "JPEG" and smallest >= factor * (
            side + 1
        ):  # one is lost where a box is widened to a multiple
            image.draft("RGB", (whole[0] // factor, whole[1] // factor))
            break
    pixels = np.array(to_rgb(image, name))
    return pixels, round(whole[0] / image.size[0])


def snapped(box: Box, size: tuple[int, int], factor: int) -> Box:
    """Return the box in a picture of ``size`` (w, h) with its edges at the nearest multiples of ``factor``."""
    (x, x_end), (y, y_end) = (
        [min(round(edge / factor), length // factor) * factor for edge in (start, start + extent)]
        for start, extent, length in zip(box[:2], box[2:], size, strict=True)
    )
    return x, y, x_end - x, y_end - y


def cut(pixels: np.ndarray, box: Box, factor: int, side: int) -> torch.Tensor:
    """Cut a snapped box out of pixels that are ``factor`` times fewer; returns uint8 ``[3, side, side]``."""
    x, y, w, h = (edge // factor for edge in box)
    part = torch.from_numpy(pixels[y : y + h, x : x + w]).permute(2, 0, 1)  # [3, h, w]
    if (w, h) == (side, side):
        return part.contiguous()
    return interpolate(part[None], size=(side, side), mode="bilinear", antialias=True)[0]


def cut_mask(mask: np.ndarray, box: Box, side: int) -> torch.Tensor:
    """Cut a box out of class ids; each pixel takes the nearest one's class. Returns uint8 ``[side, side]``."""
    x, y, w, h = box
    middles = (np.arange(side) + 0.5) / side
    rows, columns = (y + middles * h).astype(int), (x + middles * w).astype(int)
    return torch.from_numpy(mask[rows[:, None], columns])
