"""Read patch files: positions without features, as ``pathdata patch``, CLAM and TRIDENT write them.

``coords`` is ``[N, 2]``, (x, y) level-0 pixels. CLAM records the size of a patch by the level it reads and that level's
downsample; its files do not record the size of a pixel.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.nearest import near_path
from pathplugins.core.walk import files_below
from pathplugins.data.bags.attributes import described
from pathplugins.data.bags.coords import read_coords
from pathplugins.data.bags.damage import damage_named
from pathplugins.data.bags.layout import BagInfo, open_bag
from pathplugins.data.bags.shapes import own_dataset
from pathplugins.data.bags.squeezed import squeezed

from .base import Geometry

Tool = Literal["pathplugins", "clam", "trident", "unknown"]

_SUFFIX = "_patches"  # ends the names of TRIDENT's patch files


@dataclass(frozen=True, kw_only=True)
class PatchFile:
    """The positions of one slide."""

    tool: Tool
    coords_xy: np.ndarray
    """int64 ``[N, 2]``, level-0 pixels."""
    geometry: Geometry
    overlap: int | None = None
    """Pixels shared by neighbours as the encoder gets them; None where it is not recorded, as by CLAM."""


def find_patch_files(folder: Path) -> dict[str, Path]:
    """Find the patch files below ``folder``; return slide id -> file.

    Raises:
        PathPluginsError: no such folder, no patch file in it, or two of one slide.
    """
    if not folder.is_dir():
        raise PathPluginsError(
            f"--coords {folder}: no such folder; name the folder with the patch files{near_path(folder)}"
        )
    found: dict[str, Path] = {}
    for path in files_below(folder):
        if path.suffix != ".h5" or not h5py.is_hdf5(path):
            continue
        with damage_named(path, then="copy or make it again"), open_bag(path) as file:
            if "coords" not in file or {"features", "feats"} & set(file):
                continue
        slide_id = path.stem.removesuffix(_SUFFIX)
        if slide_id in found:
            raise PathPluginsError(
                f"{folder}: two patch files of {slide_id}, {found[slide_id]} and {path}; pass the folder of one run"
            )
        found[slide_id] = path
    if not found:
        raise PathPluginsError(
            f"--coords {folder}: no patch file in it; name a folder with H5 files that hold `coords` alone"
        )
    return found


def read_patch_file(path: Path) -> PatchFile:
    """Read the positions of a slide and the geometry recorded with them."""
    with damage_named(path, then="write it again with pathdata patch"), open_bag(path) as file:
        coords = squeezed(own_dataset(file, "coords", str(path)))
        if coords.ndim != 2 or coords.shape[1] != 2 or not len(coords) or coords.dtype.kind not in "iuf":
            raise PathPluginsError(
                f"{path}: `coords` is {coords.dtype} {coords.shape}, expected integers (N, 2), at least one patch; "
                "write it again with pathdata patch"
            )
        attributes = {name: _plain(value) for name, value in coords.attrs.items()}
        tool = _tool(attributes)
        geometry = _clam(attributes) if tool == "clam" else _recorded(attributes, path)
        info = BagInfo(
            path=str(path),
            rows=len(coords),
            width=0,
            dtype="none",
            convention="trident",
            level0_width=geometry.level0_width,
            level0_height=geometry.level0_height,
        )
        xy = read_coords(coords, info)
    overlap = attributes.get("overlap")
    return PatchFile(
        tool=tool, coords_xy=xy, geometry=geometry, overlap=int(overlap) if isinstance(overlap, int | float) else None
    )


def _tool(attributes: Mapping[str, Any]) -> Tool:
    marks: tuple[tuple[str, Tool], ...] = (
        ("fingerprint", "pathplugins"),
        ("patch_level", "clam"),
        ("patch_size_level0", "trident"),
    )
    return next((tool for mark, tool in marks if mark in attributes), "unknown")


def _clam(attributes: Mapping[str, Any]) -> Geometry:
    size = int(attributes["patch_size"])
    downsample = float(np.ravel(attributes.get("downsample", math.nan))[0])
    known = math.isfinite(downsample)
    level_wh = np.ravel(attributes.get("level_dim", ()))
    full_wh = [round(float(side) * downsample) for side in level_wh] if known and len(level_wh) == 2 else [None, None]
    return Geometry(
        patch_size=size,
        patch_size_level0=round(size * downsample) if known else None,
        level0_width=full_wh[0],
        level0_height=full_wh[1],
    )


def _recorded(attributes: dict[str, Any], path: Path) -> Geometry:
    """Return the geometry that our files and TRIDENT's record; ours hold CLAM's attributes too."""
    values = described(attributes, str(path))
    return Geometry(**{field.name: values[field.name] for field in fields(Geometry)})


def _plain(value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    return value.decode(errors="replace") if isinstance(value, bytes) else value
