"""Repeated positions: rows of a bag that claim the place of another row.

Grids of contours that overlap give them (CLAM, TRIDENT). With equal features such a row is a patch counted twice; with
others one of the two is of somewhere else.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

REASON = "repeated positions"
"""The class such bags are counted under in a report."""


class Repeats(NamedTuple):
    """Rows that repeat the position of an earlier row."""

    rows: np.ndarray
    """[R] int64, ascending."""
    first: np.ndarray
    """[R] int64: the first row at the same position."""


def repeats_of(coords_xy: np.ndarray) -> Repeats:
    """Find the rows of positions ``[N, 2]`` that repeat an earlier one."""
    order = np.lexsort((coords_xy[:, 1], coords_xy[:, 0]))  # stable: rows of one position stay in their order
    ordered = coords_xy[order]
    new = np.ones(len(order), bool)
    new[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    first = order[np.flatnonzero(new)[np.cumsum(new) - 1]]  # of every ordered row
    rows = order[~new]
    ascending = np.argsort(rows)
    return Repeats(rows[ascending].astype(np.int64), first[~new][ascending].astype(np.int64))


def repeats_text(coords_xy: np.ndarray) -> str | None:
    """Return how many positions ``[N, 2]`` are repeated, the first of them and what to do; None if none is."""
    found = repeats_of(coords_xy)
    if not len(found.rows):
        return None
    row, first = int(found.rows[0]), int(found.first[0])
    return (
        f"{len(found.rows)} of {len(coords_xy)} positions are repeated: row {row} is at the place of row {first}, "
        f"x, y = {coords_xy[row].tolist()}; `pathdata convert features IN --out DIR` drops rows that repeat their "
        "features too, else extract the slide again"
    )
