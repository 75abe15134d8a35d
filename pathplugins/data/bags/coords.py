"""Bag coordinates: from the frame a bag stores to (x, y) pixels of the frame a vision tower takes.

The tower says which frame that is (`pathplugins.data.bags.contract`); the numbers below are GigaPath's, 0.5 microns per
pixel. Slide encoders in its manner place a patch in cell ``(x // 256, y // 256)`` of a grid at 0.5 mpp, so an axis
swap transposes the slide and a level-0 coordinate of a 40x slide doubles every distance. Neither raises anything.

Worked example: a 40x slide, 40,000 wide and 30,000 high at 0.25 mpp, patches of 256 px at 0.5 mpp (512 level-0 px).
The patch in column 5, row 2 starts at level-0 x = 2560, y = 1024. Our bag stores ``coords_yx = (1024, 2560)``; the
tower gets ``(2560, 1024) * 0.25 / 0.5 = (1280, 512)``, which is cell (5, 2). Unconverted it would have been (10, 4),
unswapped (2, 5).

Where the scale comes from, first match wins:

1. the unit itself, where coordinates are stored in microns (STAMP);
2. ``patch_size / patch_size_level0`` of the bag, times ``mpp / 0.5``, where ``mpp`` was measured or (said once) follows
   from a magnification. A tiled mpp within 5 % of 0.5 counts as 0.5: scanners call 0.499 or 0.503 "20x", and scaling
   by 0.998 would put every patch of such a slide one pixel before the cell it belongs to;
3. ``level0_mpp`` of the bag;
4. ``coords_mpp`` of the configuration, which speaks for bags that record nothing and never overrides one that does;
5. nothing: accepted as 0.5-mpp pixels only if the positions differ by multiples of 256 and not all by multiples of
   512, which is what a grid of 256 px patches at 0.5 mpp looks like (the published convention), and said once in the
   log. A stride of 512 may be the same grid at level 0 of a 40x slide, or every other patch: ask. A lone patch
   has no stride and its place is immaterial: accept. What this cannot see is a 256 px grid cut at level 0 of a 40x
   slide; such patches were also encoded at twice the magnification the tower was trained with.
"""

from __future__ import annotations

import functools
import logging
import math

import h5py
import numpy as np

from pathplugins.data.bags.bad_bag import BadBag
from pathplugins.data.bags.contract import BagContract
from pathplugins.data.bags.layout import BagInfo
from pathplugins.published.slide_encoders import GIGAPATH

_PUBLISHED_MPP, _PUBLISHED_STRIDE_PX = GIGAPATH.frame_mpp, GIGAPATH.tile_px
"""Frame and stride of published bags that record no unit."""
_NOMINAL_TOLERANCE = 0.05

logger = logging.getLogger(__name__)


def read_coords(coords: h5py.Dataset, info: BagInfo) -> np.ndarray:
    """Read every stored position as (x, y) ``[N, 2]``: int64 level-0 pixels, or float64 microns."""
    stored = coords[:]  # [N, 2]
    xy = stored[:, ::-1] if info.convention in ("pathplugins", "unpuzzle") else stored
    whole = xy.dtype.kind in "iu"
    if not whole:
        _refuse(xy, ~np.isfinite(xy), info, "NaN or infinite", "finite numbers")
    _refuse(xy, xy < 0, info, "negative", "positions inside the slide, which start at 0")
    if info.units == "um":
        return xy.astype(np.float64)
    if not whole:
        _refuse(xy, xy != np.rint(xy), info, "not whole", "whole pixels")
    if info.level0_width and info.level0_height:
        size = np.array([info.level0_width, info.level0_height])
        wanted = f"positions inside the slide of {size[0]} x {size[1]} (width x height): are x and y swapped?"
        _refuse(xy, xy >= size, info, "outside the slide", wanted)
    return xy.astype(np.int64)


def tower_coords(
    coords_xy_stored: np.ndarray,
    info: BagInfo,
    *,
    coords_mpp: float | None = None,
    frame_mpp: float = GIGAPATH.frame_mpp,
) -> np.ndarray:
    """Convert stored (x, y) ``[k, 2]`` to (x, y) pixels at ``frame_mpp``, int64.

    Args:
        coords_xy_stored: Positions in (x, y) order and the unit of the bag. Where the bag records no unit, pass all
            of its positions: the stride of a few of them says nothing about the rest.
        info: The facts that the bag records.
        coords_mpp: Microns per stored pixel, for bags that do not record it.
        frame_mpp: Microns per pixel of the result: the frame of the tower.
    """
    return np.rint(coords_xy_stored * _scale(coords_xy_stored, info, coords_mpp, frame_mpp)).astype(np.int64)


def check_grid(coords_xy: np.ndarray, info: BagInfo, contract: BagContract) -> None:
    """Raise a `BadBag` if the tower's square grid has no cell for a position (pixels at its ``frame_mpp``)."""
    if contract.grid is None:
        return
    end = contract.grid * contract.tile_px
    off = (coords_xy >= end).any(axis=1)
    if off.any():
        row = int(off.argmax())
        raise BadBag(
            f"{info.path}: row {row} is at x, y = {coords_xy[row].tolist()} px at {contract.frame_mpp:g} mpp "
            f"({int(off.sum())} such rows), expected less than {end} ({contract.grid} cells of {contract.tile_px} px); "
            "if these are level-0 pixels, set coords_mpp to the slide's microns per pixel",
            reason="off the grid",
        )


def _scale(coords_xy: np.ndarray, info: BagInfo, coords_mpp: float | None, frame_mpp: float) -> float:
    """Return the pixels at ``frame_mpp`` per stored unit."""
    if coords_mpp is not None and not (math.isfinite(coords_mpp) and coords_mpp > 0):
        raise BadBag(f"coords_mpp is {coords_mpp}, expected microns per pixel such as 0.5", reason="unit unknown")
    if info.units == "um":
        return 1 / frame_mpp
    if info.nominal:
        _say_nominal_once(info.convention)
    if info.mpp and info.patch_size and info.patch_size_level0:
        nominal = abs(info.mpp / frame_mpp - 1) <= _NOMINAL_TOLERANCE
        return info.patch_size / info.patch_size_level0 * (1 if nominal else info.mpp / frame_mpp)
    if info.level0_mpp:
        return info.level0_mpp / frame_mpp
    if coords_mpp is not None:
        return coords_mpp / frame_mpp
    stride = int(np.gcd.reduce(np.abs(coords_xy - coords_xy[:1]).astype(np.int64), axis=None))
    if stride and (stride % _PUBLISHED_STRIDE_PX or stride % (2 * _PUBLISHED_STRIDE_PX) == 0):
        raise BadBag(
            f"{info.path} does not record the unit of its coordinates and their stride is {stride} px, which fits "
            f"more than one; set coords_mpp: 0.5 if they are pixels at 0.5 mpp, or coords_mpp: 0.25 if they are "
            "level-0 pixels of a 40x slide",
            reason="unit unknown",
        )
    _say_assumed_once(info.convention)
    return _PUBLISHED_MPP / frame_mpp


@functools.cache
def _say_assumed_once(convention: str) -> None:
    logger.warning(
        "bags of the %s convention record no unit; their %d px stride is taken for pixels at %g mpp "
        "(coords_mpp in the configuration says it outright)",
        convention,
        _PUBLISHED_STRIDE_PX,
        _PUBLISHED_MPP,
    )


@functools.cache
def _say_nominal_once(convention: str) -> None:
    logger.warning(
        "bags of the %s convention record magnifications, not microns per pixel: 40x is taken for 0.25, although it is "
        "0.22 to 0.27 (pathdata convert features --level0-mpp or --coords writes what was measured)",
        convention,
    )


def _refuse(xy: np.ndarray, bad: np.ndarray, info: BagInfo, got: str, wanted: str) -> None:
    rows = bad.any(axis=1)
    if rows.any():
        row = int(rows.argmax())
        raise BadBag(
            f"{info.path}: the position of row {row} is {got}: x, y = {xy[row].tolist()} ({int(rows.sum())} of "
            f"{len(rows)} rows); expected {wanted}; extract the bag again",
            reason="bad coordinates",
        )
