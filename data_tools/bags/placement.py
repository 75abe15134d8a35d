"""Place the patches of a slide: geometry and positions from its container, its patch file and the options."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pathplugins.core.errors import PathPluginsError

from .base import Geometry, Opened, Source
from .patch_files import read_patch_file

_ALL = ("encoder", "patch_size", "patch_size_level0", "mpp", "level0_mpp", "level0_width", "level0_height")


def place_patches(
    source: Source, opened: Opened, given: Geometry, patch_file: Path | None, *, to: str
) -> tuple[Geometry, np.ndarray | None]:
    """Complete the geometry of a slide; return it, and the positions as level-0 pixels, int64 ``[N, 2]`` (x, y).

    A ``bare`` bag has no positions, and records of its geometry what is known.

    Args:
        source: The slide, for messages.
        opened: Its features, open.
        given: The geometry in the options.
        patch_file: Its patch file; None without one.
        to: The layout to write, which decides what must be known.

    Raises:
        PathPluginsError: a number or the positions are missing, or two statements contradict each other.
    """
    where, geometry, coords_xy, unit = str(source), opened.geometry, opened.coords_xy, opened.unit
    patches = read_patch_file(patch_file) if patch_file else None
    if patches is not None:
        geometry = geometry.filled(patches.geometry, where=where, said_by=str(patch_file))
    geometry = geometry.filled(given, where=where, said_by="the options").completed()
    if to == "bare":
        return geometry, None
    geometry.require({"clam": (), "pathplugins": _ALL, "trident": _ALL}[to], where=where)
    if unit == "um":
        geometry.require(("level0_mpp",), where=where)
        coords_xy = np.rint(coords_xy / geometry.level0_mpp).astype(np.int64)
    if patches is None and coords_xy is None:
        raise PathPluginsError(
            f"{where}: {source.kind} holds features without positions, and a bag needs both; pass --coords DIR with "
            f"the patch file of {source.slide_id}, in the same order, or encode the slide again with pathdata features"
        )
    if patches is not None:
        coords_xy = _checked(source, opened.rows, coords_xy, patches.coords_xy, patch_file, exact=unit == "px0")
    return geometry, coords_xy


def _checked(
    source: Source, rows: int, coords_xy: np.ndarray | None, of_patches: np.ndarray, patch_file: Path, *, exact: bool
) -> np.ndarray:
    """Return the positions of the patch file, after comparing them with the container's (within 1 px unless exact)."""
    if len(of_patches) != rows:
        raise PathPluginsError(
            f"{source}: {rows} rows but {patch_file} has {len(of_patches)} positions; pass --coords with the patch "
            "files of the same run"
        )
    if coords_xy is not None and np.abs(coords_xy - of_patches).max() > (0 if exact else 1):
        row = int(np.abs(coords_xy - of_patches).max(axis=1).argmax())
        raise PathPluginsError(
            f"{source}: row {row} is at x, y = {coords_xy[row].tolist()} but in {patch_file} at "
            f"{of_patches[row].tolist()}; pass --coords with the patch files of the same run"
        )
    return of_patches
