"""Pen marks: recognise ink on the glass by its colour.

Haematoxylin and eosin both take more green than red out of the light, so tissue is purple, pink or red but never green
or plainly blue, and never grey. Colours that ink shares with tissue (the red of blood, the dark of crowded nuclei)
count as ink if they are strong and cover a wide area: strokes are wider than vessels and clusters of cells.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PIL import Image

from .morphology import dilate, drop_small

MIN_STROKE_UM2 = 150.0**2  #: smaller pieces of ink colour are pigment or blood; pens are half a millimetre wide
HALO_UM = 64.0  #: around ink its colour fades into tones that tissue has too
GREY_CHROMA = 32  #: largest channel minus smallest, of 255


class Ink(NamedTuple):
    """Colours of one ink; hue in degrees, saturation and value of 255."""

    hue: tuple[float, float]
    """From, to; from above to wraps around red."""
    min_saturation: int
    min_value: int


INKS = (
    Ink(hue=(70, 195), min_saturation=50, min_value=25),  # green: no stain of H&E comes near
    Ink(hue=(195, 233), min_saturation=130, min_value=40),  # blue: haematoxylin starts at 240 degrees
    Ink(hue=(346, 14), min_saturation=192, min_value=110),  # red: eosin and blood are paler
)
MAX_BLACK_VALUE = 100  #: black ink is grey (`GREY_CHROMA`) and darker than this


def pen_mask(hsv: tuple[np.ndarray, np.ndarray, np.ndarray], mpp: float) -> np.ndarray:
    """Return bool ``[H, W]``, true on ink and its surroundings.

    Args:
        hsv: Hue, saturation and value as Pillow has them, uint8 ``[H, W]`` each.
        mpp: Microns per pixel.
    """
    hue, saturation, value = hsv
    chroma = saturation.astype(np.uint16) * value // 255
    ink = (value < MAX_BLACK_VALUE) & (chroma < GREY_CHROMA)
    for (low, high), min_saturation, min_value in INKS:
        first, last = round(low * 255 / 360), round(high * 255 / 360)
        of_hue = (hue >= first) & (hue <= last) if first <= last else (hue >= first) | (hue <= last)
        ink |= of_hue & (saturation >= min_saturation) & (value >= min_value)
    if not ink.any():
        return ink
    return dilate(drop_small(ink, MIN_STROKE_UM2 / mpp**2), 2 * HALO_UM / mpp)


def hsv_of(picture: Image.Image) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return hue, saturation and value of an RGB picture, uint8 ``[H, W]`` each."""
    hue, saturation, value = (np.asarray(band) for band in picture.convert("HSV").split())
    return hue, saturation, value
