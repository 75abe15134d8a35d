"""Morphology of bool masks ``[H, W]``: grow and shrink them by disks, and find the pieces that they consist of.

NumPy only, so that the data tools need no image library; a mask of a whole slide has some tens of megapixels.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Runs(NamedTuple):
    """A mask as its runs of true pixels along rows, row by row from left to right; int64 ``[R]`` each."""

    rows: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    """One past the last pixel."""
    pieces: np.ndarray
    """The connected piece a run belongs to: the index of one of the runs of the piece."""


def dilate(mask: np.ndarray, diameter_px: float) -> np.ndarray:
    """Return true wherever a disk of this diameter around the pixel meets the mask; beyond the border is no mask.

    A disk is a stack of rows that widen towards its middle, so that each row is the one before, a little wider: about
    four passes over the mask per pixel of radius instead of one per pixel of the disk.
    """
    limit = (diameter_px / 2) ** 2
    radius = int(diameter_px / 2)
    grown, row, half = np.zeros_like(mask), mask.copy(), 0  # row: the mask widened by ``half`` to either side
    for dy in range(radius, -1, -1):
        while (half + 1) ** 2 + dy**2 <= limit:
            half += 1
            row[:, half:] |= mask[:, :-half]
            row[:, :-half] |= mask[:, half:]
        shared = max(0, len(mask) - dy)  # rows that have one ``dy`` further down
        grown[dy:] |= row[:shared]
        grown[:shared] |= row[dy:]
    return grown


def erode(mask: np.ndarray, diameter_px: float) -> np.ndarray:
    """Return true wherever the disk lies within the mask; pixels beyond the border count as mask."""
    return ~dilate(~mask, diameter_px)


def drop_small(mask: np.ndarray, min_area_px: float) -> np.ndarray:
    """Return ``mask`` without its 4-connected pieces of fewer than ``min_area_px`` pixels."""
    runs = find_runs(mask)
    areas = np.bincount(runs.pieces, weights=runs.ends - runs.starts, minlength=len(runs.rows))
    small = areas[runs.pieces] < min_area_px
    kept = mask.copy()
    for row, start, end in zip(runs.rows[small].tolist(), runs.starts[small], runs.ends[small], strict=True):
        kept[row, start:end] = False
    return kept


def find_runs(mask: np.ndarray, *, corners: bool = False) -> Runs:
    """Return the runs of a mask, and the connected piece of each; with ``corners`` of its 8-connected pieces."""
    edges = np.diff(np.pad(mask, ((0, 0), (1, 1))).view(np.int8), axis=1)  # [H, W + 1], 1 at starts and -1 at ends
    rows, starts = np.nonzero(edges == 1)
    ends = np.nonzero(edges == -1)[1]
    return Runs(rows, starts, ends, _join(rows, starts, ends + corners, height=mask.shape[0]))


def _join(rows: np.ndarray, starts: np.ndarray, ends: np.ndarray, *, height: int) -> np.ndarray:
    """Return for every run one representative run of its piece (union-find over runs that overlap in two rows).

    Ends one further on make pieces meet at corners too: no other runs of one row are that near.
    """
    first, starts, ends = np.searchsorted(rows, np.arange(height + 1)).tolist(), starts.tolist(), ends.tolist()
    parent = list(range(len(rows)))

    def root(run: int) -> int:
        while parent[run] != run:
            parent[run] = parent[parent[run]]
            run = parent[run]
        return run

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
