"""Drop rows that repeat an earlier row, position and features, while a slide is converted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.bags.repeats import Repeats, repeats_of

from .base import Opened


def without_repeats(opened: Opened, coords_xy: np.ndarray, *, where: str) -> tuple[Opened, np.ndarray, str | None]:
    """Return the features and positions ``[N, 2]`` without repeated rows, and a note; reading them may raise.

    Raises (while the blocks are read):
        PathPluginsError: two rows at one position have other features: one of them is of another place.
    """
    found = repeats_of(coords_xy)
    if not len(found.rows):
        return opened, coords_xy, None
    kept = np.ones(len(coords_xy), bool)
    kept[found.rows] = False
    blocks = _kept_rows(opened.blocks, kept, found, coords_xy, where)
    note = f"{len(found.rows)} of {opened.rows} rows were there twice, position and features: dropped"
    return replace(opened, rows=int(kept.sum()), blocks=blocks), coords_xy[kept], note


def _kept_rows(
    blocks: Iterator[np.ndarray], kept: np.ndarray, repeats: Repeats, coords_xy: np.ndarray, where: str
) -> Iterator[np.ndarray]:
    """Yield the rows to keep, after comparing every other with the one that it repeats."""
    first_of = dict(zip(repeats.rows.tolist(), repeats.first.tolist(), strict=True))
    wanted, seen, start = {*first_of.values()}, dict[int, np.ndarray](), 0
    for block in blocks:
        stop = start + len(block)
        seen |= {row: block[row - start].copy() for row in wanted if start <= row < stop}
        for row in (row for row in first_of if start <= row < stop):
            if not np.array_equal(seen[first_of[row]], block[row - start]):
                raise PathPluginsError(
                    f"{where}: rows {first_of[row]} and {row} are both at x, y = {coords_xy[row].tolist()} with other "
                    f"features ({len(first_of)} positions are there twice); one is of another place: extract the slide "
                    "again"
                )
        yield block[kept[start:stop]]
        start = stop
