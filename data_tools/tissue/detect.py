"""Detect tissue: find the stained areas of a thumbnail.

Stain has colour and glass is grey, so the saturation is thresholded (Otsu); pen marks, specks and gaps are removed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

from pathplugins.core.errors import PathPluginsError

from .morphology import dilate, drop_small, erode
from .pen import hsv_of, pen_mask

BAND_ROWS = 64  #: rows smoothed at once


@dataclass(frozen=True, kw_only=True)
class TissueSpec:
    """How tissue is told from glass; lengths in microns, so that slides of any resolution are treated alike."""

    mpp: float = 4.0
    """Resolution of the mask, microns per pixel."""
    min_saturation: int = 15
    """Lower bound of the threshold (of 255): an empty slide has only the noise of its glass to threshold."""
    max_saturation: int = 50
    """Upper bound of the threshold: where nearly all is tissue, Otsu would split the tissue in two."""
    min_value: int = 40
    """Darker than this (of 255) is the edge of the glass, not tissue."""
    remove_pen: bool = True
    """Leave out areas with the colour of ink."""
    close_um: float = 32.0
    """Gaps narrower than this are closed."""
    open_um: float = 24.0
    """Bridges and specks narrower than this are removed."""
    min_area_um2: float = 64.0**2
    """Smaller pieces are dropped: a quarter of the usual patch of 256 pixels at 0.5 um/px."""
    max_hole_um2: float = 128.0**2
    """Smaller holes are filled; larger ones are lumens and tears."""

    def __post_init__(self) -> None:
        if not 0 <= self.min_saturation <= self.max_saturation <= 255:
            raise PathPluginsError(
                "the bounds of the saturation are 0 <= min_saturation <= max_saturation <= 255, "
                f"got {self.min_saturation} and {self.max_saturation}"
            )
        if not 0 <= self.min_value <= 255:
            raise PathPluginsError(f"min_value is in [0, 255], got {self.min_value}")
        if not (math.isfinite(self.mpp) and self.mpp > 0):
            raise PathPluginsError(f"the resolution of the tissue mask is above 0 um/px, got {self.mpp:g}")
        for name in ("close_um", "open_um", "min_area_um2", "max_hole_um2"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise PathPluginsError(f"{name} is a size, 0 or more, got {value:g}")


def tissue_mask(rgb: np.ndarray, mpp: float, spec: TissueSpec) -> np.ndarray:
    """Return bool ``[H, W]``, true on tissue, for a uint8 ``[H, W, 3]`` thumbnail at ``mpp`` microns per pixel."""
    hsv = hsv_of(Image.fromarray(median3(rgb)))
    _, saturation, value = hsv  # [H, W] each
    pen = pen_mask(hsv, mpp) if spec.remove_pen else np.zeros(value.shape, bool)
    if pen.all():
        return ~pen
    threshold = min(max(otsu(saturation[~pen]), spec.min_saturation), spec.max_saturation)
    mask = (saturation > threshold) & (value >= spec.min_value) & ~pen
    mask = erode(dilate(mask, spec.close_um / mpp), spec.close_um / mpp)
    mask = dilate(erode(mask, spec.open_um / mpp), spec.open_um / mpp)
    mask = ~drop_small(~mask, spec.max_hole_um2 / mpp**2)
    return drop_small(mask & ~pen, spec.min_area_um2 / mpp**2)  # closing may have reached over ink


def median3(rgb: np.ndarray) -> np.ndarray:
    """Return the median of every pixel and its eight neighbours, which drops single specks; uint8 ``[H, W, C]`` both.

    Equal to Pillow's filter, which takes several seconds for the thumbnail of a large slide: columns of three are
    sorted once and shared by their neighbours, in bands of rows that stay in the cache.
    """
    smooth = np.empty_like(rgb)
    padded = np.pad(rgb, ((1, 1), (1, 1), (0, 0)), mode="edge")
    for top in range(0, len(rgb), BAND_ROWS):
        a, b, c = (padded[top + i : min(top + BAND_ROWS, len(rgb)) + i] for i in range(3))  # [rows, W + 2, C] each
        low, high = np.minimum(a, b), np.maximum(a, b)
        low, middle, high = np.minimum(low, c), np.maximum(low, np.minimum(high, c)), np.maximum(high, c)
        lowest = np.maximum(np.maximum(low[:, :-2], low[:, 1:-1]), low[:, 2:])
        highest = np.minimum(np.minimum(high[:, :-2], high[:, 1:-1]), high[:, 2:])
        centre = _middle(middle[:, :-2], middle[:, 1:-1], middle[:, 2:])
        smooth[top : top + BAND_ROWS] = _middle(lowest, centre, highest)
    return smooth


def _middle(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Return the elementwise median of three."""
    return np.maximum(np.minimum(a, b), np.minimum(np.maximum(a, b), c))


def otsu(values: np.ndarray) -> int:
    """Return the uint8 threshold (``> t`` is foreground) that separates two classes of ``values`` best."""
    counts = np.bincount(values.ravel(), minlength=256).astype(np.float64)  # [256]
    below = counts.cumsum()
    above = below[-1] - below
    sums = (counts * np.arange(256)).cumsum()
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = sums / below - (sums[-1] - sums) / above
        between = below * above * distance**2
    between = np.nan_to_num(between, nan=0.0, posinf=0.0)
    best = np.flatnonzero(between == between.max())
    return int(best[len(best) // 2])  # the middle of a flat maximum: an empty valley has no better side
