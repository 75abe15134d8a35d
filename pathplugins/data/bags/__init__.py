"""Feature bags: open, check and sample the H5 files that hold one slide's patch features.

Axes: N patches of a bag, k of them read, D features. Every function opens the file itself and closes it before it
returns, so bags may be read in forked and in spawned workers. A bag that cannot be read is a ``BagError``, never zeros.
"""

from __future__ import annotations

import hashlib
import operator
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeVar, get_args

import h5py
import numpy as np

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.bags.bad_bag import BadBag
from pathplugins.data.bags.contract import BagContract
from pathplugins.data.bags.coords import check_grid, read_coords, tower_coords
from pathplugins.data.bags.damage import DAMAGE
from pathplugins.data.bags.layout import BagInfo, open_bag, read_layout
from pathplugins.data.bags.repeats import REASON as REPEATED
from pathplugins.data.bags.repeats import repeats_text
from pathplugins.data.bags.rows import RowReader, faulty_rows
from pathplugins.data.bags.write import BagAttributes, write_bag
from pathplugins.data.endless import endless
from pathplugins.published.slide_encoders import GIGAPATH

__all__ = [
    "Bag",
    "BagAttributes",
    "BagContract",
    "BagInfo",
    "Sampling",
    "check_bag",
    "inspect_bag",
    "must_come_back",
    "read_bag",
    "sample_rows",
    "stable_seed",
    "tower_coords",
    "write_bag",
]

T = TypeVar("T")
PathLike = str | os.PathLike[str]
Sampling = Literal["random", "linspace", "first"]
"""Which rows of a bag are read where not all are."""

_ANY = BagContract()
_RETRY_WAITS_S = (0.1, 0.5)  # then give up: network file systems stumble for moments, broken files stay broken


@dataclass(frozen=True, kw_only=True, eq=False)
class Bag:
    """Rows of a bag, ready for a slide encoder."""

    features: np.ndarray
    """[k, D], the dtype of the file."""
    coords_xy: np.ndarray
    """[k, 2] int64, (x, y) pixels of the frame asked for; as stored where none was, and -1 where there are none."""
    info: BagInfo


def inspect_bag(path: PathLike, *, positions: bool = True) -> BagInfo:
    """Read what a bag says about itself, from its metadata alone; ``positions=False`` takes one without any."""
    return _opened(path, lambda file: read_layout(file, os.fspath(path), positions=positions).info)


def read_bag(
    path: PathLike,
    rows: np.ndarray | None = None,
    *,
    coords_mpp: float | None = None,
    frame_mpp: float | None = GIGAPATH.frame_mpp,
    positions: bool = True,
) -> Bag:
    """Read the given rows of a bag, in the given order, or all of them.

    Args:
        path: The H5 file.
        rows: Row numbers, e.g. of ``sample_rows``; None reads everything.
        coords_mpp: Microns per stored pixel, for bags that do not record it (see ``pathplugins.data.bags.coords``).
        frame_mpp: Microns per pixel of the positions returned: the frame of the tower, 0.5 for GigaPath's; None
            returns them as stored, in whole pixels or microns.
        positions: Refuse a bag without positions; False returns -1 for it.
    """

    def read(file: h5py.File) -> Bag:
        info, features, coords, checksums = read_layout(file, os.fspath(path), positions=positions)
        wanted = np.arange(info.rows) if rows is None else _checked_rows(rows, info)
        # all positions are checked, and freed before a feature is read
        frame_xy = _placed(coords, info, coords_mpp, frame_mpp)  # [N, 2]
        coords_xy = np.ascontiguousarray(frame_xy[wanted])  # [k, 2]
        del frame_xy
        return Bag(features=RowReader(features, checksums).read(wanted), coords_xy=coords_xy, info=info)

    return _opened(path, read)


def check_bag(
    path: PathLike,
    contract: BagContract = _ANY,
    *,
    coords_mpp: float | None = None,
    features: bool = True,
    positions: bool | None = None,
) -> BagInfo:
    """Find everything that would stop training on this bag before training; a ``BagError`` says what.

    Args:
        path: The H5 file.
        contract: What the tower expects.
        coords_mpp: Microns per stored pixel, for bags that do not record it.
        features: Read every feature row too; False checks metadata and coordinates.
        positions: Refuse a bag without positions; as the contract says when None.
    """
    needed = contract.needs_positions if positions is None else positions

    def check(file: h5py.File) -> BagInfo:
        info, feature_rows, coords, checksums = read_layout(file, os.fspath(path), positions=needed)
        if contract.feature_dim not in (None, info.width):
            raise BadBag(
                f"{info.path}: features are {info.width} wide, expected {contract.feature_dim}; made with another "
                f"encoder? (the bag names {info.encoder or 'none'}) extract features with the encoder the model was "
                "configured for",
                reason="wrong feature width",
            )
        if coords is not None:
            _check_positions(read_coords(_by_column(coords), info), info, contract, coords_mpp)
        if features:
            _check_values(RowReader(feature_rows, checksums), info)
        return info

    must_come_back(path)
    return _opened(path, check)


def must_come_back(path: PathLike) -> None:
    """Refuse a bag from which the HDF5 library would never come back.

    For those who look at many bags before they are read: a process that reads one has no way out, and to ask before
    every read would cost as much as reading.
    """
    if said := endless(path):
        raise BadBag(
            f"{os.fspath(path)} cannot be read: {said}; expected a whole HDF5 file, copy or extract it again",
            reason="unreadable file",
        )


def sample_rows(n: int, k: int | None, seed: int, *, block: int = 1, sampling: Sampling = "random") -> np.ndarray:
    """Choose ``k`` of ``n`` different rows, ascending, int64; all when ``k`` is None or not below ``n``.

    Args:
        n: Rows of the bag.
        k: Rows wanted.
        seed: Decides which, e.g. ``stable_seed(seed, epoch, sample_id)``.
        block: Draw runs of this many neighbouring rows instead of single ones; each row is as likely as before. Our
            bags go along the rows of the slide, so a run is a strip of tissue: fewer places are seen, and seen whole.
            For bags on slow or cold storage: ``read_bag(path, sample_rows(info.rows, 2048, seed, block=64))`` makes
            33 reads instead of 2,048.
        sampling: ``random``; ``linspace``, ``floor(linspace(0, n - 1, k))``, the first and the last row among them;
            ``first``, the first k. The last two ask neither seed nor block.
    """
    if sampling not in get_args(Sampling):
        raise PathPluginsError(f"patches_sampling is {sampling!r}, expected one of {', '.join(get_args(Sampling))}")
    if k is not None and k < 1:
        raise ValueError(f"asked for {k} rows of a bag, expected at least 1 (or None for all)")
    if block < 1:
        raise ValueError(f"asked for blocks of {block} rows, expected at least 1")
    if k is None or n <= k:
        return np.arange(n, dtype=np.int64)
    if sampling != "random":
        return np.linspace(0, n - 1, k).astype(np.int64) if sampling == "linspace" else np.arange(k, dtype=np.int64)
    rng = np.random.default_rng(seed)
    if block == 1:
        return np.sort(rng.choice(n, size=k, replace=False, shuffle=False)).astype(np.int64)
    # the bag as a ring cut into blocks from a random row on, so that no row is favoured by where it lies
    chosen = rng.choice(-(-n // block), size=min(-(-n // block), k // block + 2), replace=False)  # in random order
    rows = (chosen[:, None] * block + np.arange(block)).reshape(-1)
    return np.sort((rows[rows < n][:k] + rng.integers(n)) % n).astype(np.int64)


def stable_seed(*values: str | bytes | int) -> int:
    """Return a seed below 2**63 made of any values, the same in every process (``hash`` is not)."""
    digest = hashlib.blake2b(digest_size=8)
    for value in values:
        if isinstance(value, bytes):
            kind, data = b"b", value
        elif isinstance(value, str):
            kind, data = b"s", value.encode()
        else:
            kind, data = b"i", str(operator.index(value)).encode()
        digest.update(kind + len(data).to_bytes(8, "big") + data)  # the length keeps ("ab", "c") from ("a", "bc")
    return int.from_bytes(digest.digest(), "big") >> 1


def _opened(path: PathLike, action: Callable[[h5py.File], T]) -> T:
    """Run ``action`` on the open file, again from the start if reading fails."""
    waits_s = iter(_RETRY_WAITS_S)
    while True:
        try:
            with open_bag(path) as file:
                return action(file)
        except PathPluginsError:
            raise
        except DAMAGE as error:  # or a file that vanishes
            wait_s = next(waits_s, None)
            if wait_s is None:
                raise BadBag(
                    f"{os.fspath(path)} cannot be read ({len(_RETRY_WAITS_S) + 1} tries): {error}; expected a whole "
                    "HDF5 file, copy or extract it again",
                    reason="unreadable file",
                ) from error
            time.sleep(wait_s)


def _placed(
    coords: h5py.Dataset | None, info: BagInfo, coords_mpp: float | None, frame_mpp: float | None
) -> np.ndarray:
    """Return the positions [N, 2] int64 of all rows: at ``frame_mpp``, or as stored, or -1 where there are none."""
    if coords is None:
        return np.full((info.rows, 2), -1, np.int64)
    stored_xy = read_coords(_by_column(coords), info)
    if frame_mpp is None:
        return np.rint(stored_xy).astype(np.int64)
    return tower_coords(stored_xy, info, coords_mpp=coords_mpp, frame_mpp=frame_mpp)


def _check_positions(stored_xy: np.ndarray, info: BagInfo, contract: BagContract, coords_mpp: float | None) -> None:
    if said := repeats_text(stored_xy):
        raise BadBag(f"{info.path}: {said}", reason=REPEATED)
    if contract.frame_mpp is not None:
        coords_xy = tower_coords(stored_xy, info, coords_mpp=coords_mpp, frame_mpp=contract.frame_mpp)
        check_grid(coords_xy, info, contract)


def _by_column(coords: h5py.Dataset) -> np.ndarray:
    """Read positions ``[N, 2]`` in column order: NumPy judges 50,000 of them in 0.3 ms, in row order in 4 ms."""
    return np.asfortranarray(coords[:])


def _checked_rows(rows: np.ndarray, info: BagInfo) -> np.ndarray:
    rows = np.asarray(rows)
    if rows.ndim != 1 or rows.dtype.kind not in "iu" or not rows.size or rows.min() < 0 or rows.max() >= info.rows:
        raise BadBag(
            f"{info.path}: asked for rows {rows.dtype} {rows.shape}"
            f"{f' from {rows.min()} to {rows.max()}' if rows.size else ''}; expected integers within 0..{info.rows - 1}"
        )
    return rows.astype(np.int64)


def _check_values(features: RowReader, info: BagInfo) -> None:
    bad, blank = faulty_rows(block for _, block in features.blocks())
    for rows, got, reason in ((bad, "holds NaN or infinity", "non-finite features"), (blank, "is all zeros", "zeros")):
        if rows:
            raise BadBag(
                f"{info.path}: feature row {rows[0]} {got} ({len(rows)} of {info.rows} rows), expected numbers an "
                "encoder made; extract the bag again",
                reason=reason,
            )
