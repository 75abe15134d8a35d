"""Pictures of a report: small JPEGs inside the page, and masks drawn over them."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

Colour = tuple[int, int, int]

COLOURS: tuple[Colour, ...] = (
    *((0, 114, 178), (230, 159, 0), (0, 158, 115), (213, 94, 0), (204, 121, 167), (86, 180, 233), (240, 228, 66)),
    *((128, 60, 160), (90, 90, 90), (120, 200, 60), (160, 82, 45), (0, 200, 200)),
)
"""Of classes, by id, from the start again where they run out. The first seven are those of Okabe and Ito, which people
with any colour vision tell apart (https://jfly.uni-koeln.de/color/)."""
SHOWN_PX = 320
"""Least side of a picture with outlines: lines of three pixels need room."""
_LINE_PX = 3
_QUALITY = 85


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One picture on the page."""

    uri: str
    """``data:`` address that holds it."""
    alt: str
    caption: str
    width: int
    height: int


@dataclass(frozen=True, kw_only=True)
class Case:
    """One sample worth looking at."""

    name: str
    facts: Sequence[tuple[str, str]]
    """Such as (``truth``, ``normal``)."""
    pictures: Sequence[Picture]


def picture(pixels: np.ndarray, *, alt: str, caption: str = "") -> Picture:
    """Encode a picture for the page: uint8 ``[H, W, 3]``."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=_QUALITY)
    uri = f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
    return Picture(uri=uri, alt=alt, caption=caption, width=pixels.shape[1], height=pixels.shape[0])


def outlined(pixels: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Draw the regions of a mask over its picture: along every border a line in the colour of each side.

    Args:
        pixels: uint8 ``[H, W, 3]``.
        mask: class ids, ``[H, W]``.

    Returns:
        uint8 ``[fH, fW, 3]``, enlarged by a whole factor f until its shorter side is ``SHOWN_PX`` or more.
    """
    height, width = mask.shape
    factor = -(-SHOWN_PX // min(height, width))
    large = np.asarray(Image.fromarray(pixels).resize((width * factor, height * factor), Image.Resampling.BICUBIC))
    mask = mask.repeat(factor, axis=0).repeat(factor, axis=1)  # [fH, fW]
    colours = np.array([COLOURS[index % len(COLOURS)] for index in range(int(mask.max()) + 1)], np.uint8)[mask]
    border = _border(mask)[..., None]
    return np.where(border, colours, large)


def _border(mask: np.ndarray) -> np.ndarray:
    """Return which pixels are within ``_LINE_PX`` of another class: bool ``[H, W]``."""
    found = np.zeros(mask.shape, bool)
    for axis in (0, 1):
        ahead, behind = (np.swapaxes(array, 0, axis) for array in (mask, found))
        for step in range(1, _LINE_PX + 1):
            differs = ahead[step:] != ahead[:-step]
            behind[step:] |= differs
            behind[:-step] |= differs
    return found


def shares(mask: np.ndarray, classes: Sequence[str]) -> str:
    """Say in words how much of a mask each class covers, the largest first: ``stroma 62 %, benign 38 %``."""
    counts = np.bincount(mask.reshape(-1), minlength=len(classes))
    order = [index for index in np.argsort(-counts, kind="stable") if counts[index]]
    return ", ".join(f"{classes[index]} {counts[index] / mask.size:.0%}" for index in order)
