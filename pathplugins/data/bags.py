"""Feature bags: open, check and sample the H5 files that hold one slide's patch features.

Axes: N patches of a bag, k of them read, D features. Every function opens the file itself and closes it before it
returns, so bags may be read in forked and in spawned workers. A bag that cannot be read is a ``BagError``, never zeros.
"""

from __future__ import annotations

import hashlib
import itertools
import operator
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import h5py
import numpy as np

from pathplugins.data.bag_coords import TOWER_MPP, check_grid, read_coords, tower_coords
from pathplugins.data.bag_layout import BadBag, BagInfo, open_bag, read_layout
from pathplugins.data.bag_write import BagAttributes, write_bag

__all__ = [
    "TOWER_MPP",
    "Bag",
    "BagAttributes",
    "BagInfo",
    "check_bag",
    "inspect_bag",
    "read_bag",
    "sample_rows",
    "stable_seed",
    "tower_coords",
    "write_bag",
]

T = TypeVar("T")
PathLike = str | os.PathLike[str]

_RETRY_WAITS_S = (0.1, 0.5)  # then give up: network file systems stumble for moments, broken files stay broken
_GAP_BYTES = 64 * 1024  # reading this much too much costs less than one more call (about 30 us) or seek
_BLOCK_BYTES = 8 * 1024 * 1024  # larger temporaries cost more in page faults than they save in calls


@dataclass(frozen=True, kw_only=True, eq=False)
class Bag:
    """Rows of a bag, ready for a slide encoder."""

    features: np.ndarray
    """[k, D], the dtype of the file."""
    coords_xy: np.ndarray
    """[k, 2] int64, (x, y) pixels at 0.5 mpp."""
    info: BagInfo


def inspect_bag(path: PathLike) -> BagInfo:
    """What a bag says about itself, from metadata alone."""
    return _opened(path, lambda file: read_layout(file, os.fspath(path)).info)


def read_bag(path: PathLike, rows: np.ndarray | None = None, *, coords_mpp: float | None = None) -> Bag:
    """Read the given rows of a bag, in the given order, or all of them.

    Args:
        path: The H5 file.
        rows: Row numbers, e.g. of ``sample_rows``; None reads everything.
        coords_mpp: Microns per stored pixel, for bags that do not record it (see ``bag_coords``).
    """

    def read(file: h5py.File) -> Bag:
        info, features, coords = read_layout(file, os.fspath(path))
        coords_xy = tower_coords(read_coords(coords, info), info, coords_mpp=coords_mpp)  # [N, 2]
        if rows is None:
            return Bag(features=_take(features, np.arange(info.rows)), coords_xy=coords_xy, info=info)
        wanted = _checked_rows(rows, info)
        ascending, places = np.unique(wanted, return_inverse=True)
        taken = _take(features, ascending)  # [<= k, D]
        in_order = len(ascending) == len(wanted) and bool((places[1:] > places[:-1]).all())
        return Bag(features=taken if in_order else taken[places], coords_xy=coords_xy[wanted], info=info)  # [k, ...]

    return _opened(path, read)


def check_bag(
    path: PathLike,
    *,
    width: int | None = None,
    grid_cells: int = 1000,
    tile_px: int = 256,
    coords_mpp: float | None = None,
    features: bool = True,
) -> BagInfo:
    """Everything that would stop training on this bag, found before training; a ``BagError`` says what.

    Args:
        path: The H5 file.
        width: The D the model takes, if known.
        grid_cells: Cells per side of the slide encoder's grid.
        tile_px: Side of a cell, pixels at 0.5 mpp.
        coords_mpp: Microns per stored pixel, for bags that do not record it.
        features: Read every feature row too; False checks metadata and coordinates.
    """

    def check(file: h5py.File) -> BagInfo:
        info, feature_rows, coords = read_layout(file, os.fspath(path))
        if width is not None and info.width != width:
            raise BadBag(
                f"{info.path}: features are {info.width} wide, expected {width}; made with another encoder? (the bag "
                f"names {info.encoder or 'none'}) extract features with the encoder the model was configured for",
                reason="wrong feature width",
            )
        coords_xy = tower_coords(read_coords(coords, info), info, coords_mpp=coords_mpp)
        check_grid(coords_xy, info, grid_cells=grid_cells, tile_px=tile_px)
        if features:
            _check_values(feature_rows, info)
        return info

    return _opened(path, check)


def sample_rows(n: int, k: int | None, seed: int) -> np.ndarray:
    """``k`` of ``n`` rows without replacement, ascending, int64; all of them when ``k`` is None or not below ``n``."""
    if k is not None and k < 1:
        raise ValueError(f"asked for {k} rows of a bag, expected at least 1 (or None for all)")
    if k is None or n <= k:
        return np.arange(n, dtype=np.int64)
    return np.sort(np.random.default_rng(seed).choice(n, size=k, replace=False, shuffle=False)).astype(np.int64)


def stable_seed(*parts: str | bytes | int) -> int:
    """A seed below 2**63 from any parts, the same in every process and on every machine (``hash`` is not)."""
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        if isinstance(part, bytes):
            kind, data = b"b", part
        elif isinstance(part, str):
            kind, data = b"s", part.encode()
        else:
            kind, data = b"i", str(operator.index(part)).encode()
        digest.update(kind + len(data).to_bytes(8, "big") + data)  # the length keeps ("ab", "c") from ("a", "bc")
    return int.from_bytes(digest.digest(), "big") >> 1


def _opened(path: PathLike, action: Callable[[h5py.File], T]) -> T:
    """Run ``action`` on the open file, again from the start if reading fails."""
    waits_s = iter(_RETRY_WAITS_S)
    while True:
        try:
            with open_bag(path) as file:
                return action(file)
        except (OSError, RuntimeError, KeyError) as error:  # h5py raises all three for damaged or vanishing files
            wait_s = next(waits_s, None)
            if wait_s is None:
                raise BadBag(
                    f"{os.fspath(path)} cannot be read ({len(_RETRY_WAITS_S) + 1} tries): {error}; expected a whole "
                    "HDF5 file, copy or extract it again",
                    reason="unreadable file",
                ) from error
            time.sleep(wait_s)


def _checked_rows(rows: np.ndarray, info: BagInfo) -> np.ndarray:
    rows = np.asarray(rows)
    if rows.ndim != 1 or rows.dtype.kind not in "iu" or not rows.size or rows.min() < 0 or rows.max() >= info.rows:
        raise BadBag(
            f"{info.path}: asked for rows {rows.dtype} {rows.shape}"
            f"{f' from {rows.min()} to {rows.max()}' if rows.size else ''}; expected integers within 0..{info.rows - 1}"
        )
    return rows.astype(np.int64)


def _runs(rows: np.ndarray, *, block_rows: int, chunk_rows: int, row_bytes: int) -> Iterator[slice]:
    """Cut ascending ``rows`` into slices worth one read each: near each other, or in one chunk, within one block."""
    gap_rows = max(1, _GAP_BYTES // row_bytes)
    apart = (np.diff(rows) > gap_rows) & (np.diff(rows // chunk_rows) > 0)
    cuts = np.flatnonzero(apart | (np.diff(rows // block_rows) > 0)) + 1
    edges = [0, *cuts.tolist(), len(rows)]
    return (slice(start, stop) for start, stop in itertools.pairwise(edges))


def _block_rows(features: h5py.Dataset) -> tuple[int, int, int]:
    """Rows per block, rows per chunk, bytes per row; a block is whole chunks, so that none is read twice."""
    row_bytes = features.shape[1] * features.dtype.itemsize
    chunk_rows = features.chunks[0] if features.chunks else 1
    return -(-max(1, _BLOCK_BYTES // row_bytes) // chunk_rows) * chunk_rows, chunk_rows, row_bytes


def _take(features: h5py.Dataset, rows: np.ndarray) -> np.ndarray:
    """Ascending, distinct rows of a dataset, ``[k, D]``.

    h5py's own list indexing visits the chunks once per row: 110 to 260 ms for 2,048 of 30,000 rows of 1,536 float16
    in chunks of 1 to 16 rows, against 30 to 45 ms this way (h5py 3.16, files in memory).
    """
    block_rows, chunk_rows, row_bytes = _block_rows(features)
    taken = np.empty((len(rows), features.shape[1]), features.dtype.newbyteorder("="))
    for run in _runs(rows, block_rows=block_rows, chunk_rows=chunk_rows, row_bytes=row_bytes):
        first, last = int(rows[run.start]), int(rows[run.stop - 1])
        if last - first == run.stop - 1 - run.start:
            features.read_direct(taken, np.s_[first : last + 1], np.s_[run])
        else:
            taken[run] = features[first : last + 1][rows[run] - first]
    return taken  # [k, D]


def _check_values(features: h5py.Dataset, info: BagInfo) -> None:
    block_rows, _, _ = _block_rows(features)
    bad: list[int] = []
    blank: list[int] = []
    for start in range(0, info.rows, block_rows):
        block = features[start : start + block_rows]  # [b, D]
        bad += (np.flatnonzero(~np.isfinite(block).all(axis=1)) + start).tolist()
        blank += (np.flatnonzero(~block.any(axis=1)) + start).tolist()
    for rows, got, reason in ((bad, "holds NaN or infinity", "non-finite features"), (blank, "is all zeros", "zeros")):
        if rows:
            raise BadBag(
                f"{info.path}: feature row {rows[0]} {got} ({len(rows)} of {info.rows} rows), expected numbers an "
                "encoder made; extract the bag again",
                reason=reason,
            )
