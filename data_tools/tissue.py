"""Tissue: which parts of a thumbnail are stained.

Stain is colour and glass is grey, so the saturation is thresholded (Otsu), then specks and gaps are cleaned up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter


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
    """Darker than this (of 255) is the edge of the glass or a pen, not tissue."""
    close_um: float = 32.0
    """Gaps narrower than this are closed."""
    open_um: float = 24.0
    """Bridges and specks narrower than this are removed."""
    min_area_um2: float = 64.0**2
    """Smaller pieces are dropped: a quarter of the usual patch of 256 pixels at 0.5 um/px."""
    max_hole_um2: float = 128.0**2
    """Smaller holes are filled; larger ones are lumens and tears."""


def tissue_mask(rgb: np.ndarray, mpp: float, spec: TissueSpec) -> np.ndarray:
    """Bool ``[H, W]``, true on tissue, of a uint8 ``[H, W, 3]`` thumbnail at ``mpp`` microns per pixel."""
    smooth = Image.fromarray(rgb).filter(ImageFilter.MedianFilter(3)).convert("HSV")  # the median drops single specks
    _, saturation, value = (np.asarray(band) for band in smooth.split())  # [H, W] each
    threshold = min(max(otsu(saturation), spec.min_saturation), spec.max_saturation)
    mask = (saturation > threshold) & (value >= spec.min_value)
    mask = _erode(_dilate(mask, spec.close_um / mpp), spec.close_um / mpp)
    mask = _dilate(_erode(mask, spec.open_um / mpp), spec.open_um / mpp)
    mask = ~drop_small(~mask, spec.max_hole_um2 / mpp**2)
    return drop_small(mask, spec.min_area_um2 / mpp**2)


def otsu(values: np.ndarray) -> int:
    """The uint8 threshold (``> t`` is foreground) that separates two classes of ``values`` best."""
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


def drop_small(mask: np.ndarray, min_area_px: float) -> np.ndarray:
    """``mask`` without its 4-connected pieces of fewer than ``min_area_px`` pixels.

    Pieces are found as runs of pixels along rows, joined where runs of neighbouring rows overlap.
    """
    edges = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8), axis=1)  # [H, W + 1]
    rows, starts = np.nonzero(edges == 1)  # one entry a run, row by row
    ends = np.nonzero(edges == -1)[1]
    roots = _join(rows, starts, ends, height=mask.shape[0])
    areas = np.bincount(roots, weights=ends - starts, minlength=len(roots))
    kept = mask.copy()
    for run in np.flatnonzero(areas[roots] < min_area_px):
        kept[rows[run], starts[run] : ends[run]] = False
    return kept


def _join(rows: np.ndarray, starts: np.ndarray, ends: np.ndarray, *, height: int) -> np.ndarray:
    """For every run, one representative run of the piece it belongs to (union-find)."""
    parent = list(range(len(rows)))

    def root(run: int) -> int:
        while parent[run] != run:
            parent[run] = parent[parent[run]]
            run = parent[run]
        return run

    first = np.searchsorted(rows, np.arange(height + 1))
    for row in range(1, height):
        upper, lower = first[row - 1], first[row]
        while upper < first[row] and lower < first[row + 1]:
            if starts[upper] < ends[lower] and starts[lower] < ends[upper]:
                parent[root(upper)] = root(lower)
            if ends[upper] < ends[lower]:
                upper += 1
            else:
                lower += 1
    return np.array([root(run) for run in range(len(parent))], dtype=np.int64)


def _dilate(mask: np.ndarray, diameter_px: float) -> np.ndarray:
    """True wherever a disk of this diameter around the pixel meets the mask."""
    h, w = mask.shape
    radius = math.ceil(diameter_px / 2)
    padded = np.pad(mask, radius)
    grown = np.zeros_like(mask)
    for dy in range(-radius, radius + 1):
        for dx in range(-radius, radius + 1):
            if dx * dx + dy * dy <= (diameter_px / 2) ** 2:
                grown |= padded[radius + dy : radius + dy + h, radius + dx : radius + dx + w]
    return grown


def _erode(mask: np.ndarray, diameter_px: float) -> np.ndarray:
    """True wherever the disk lies within the mask; what is beyond the border counts as mask."""
    return ~_dilate(~mask, diameter_px)
