"""Coordinate files: write and read the patches of one slide as TRIDENT and CLAM do, with our provenance added.

``coords`` is int64 ``[N, 2]``, (x, y) of the top-left corner in level-0 pixels, counted from the corner of level 0 as
OpenSlide does, whatever part of it was scanned; everything else is its attributes.
CLAM reads ``patch_size`` pixels of level ``patch_level`` and resizes nothing. So patches that are pixels of a level
record that level, and patches that are resized have no ``patch_level``.
"""

from __future__ import annotations

from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.bags.damage import damage_named
from pathplugins.data.new_h5 import new_h5

FRAME = "level0"


@dataclass(frozen=True, kw_only=True)
class PatchSet:
    """The patches of one slide; every field but the coordinates is an attribute of the same name on disk."""

    coords_xy: np.ndarray
    """int64 ``[N, 2]``."""
    name: str
    """The slide id: the file name without its suffix."""
    slide: str
    """Path of the slide as it was given."""
    patch_size: int
    """Side in pixels at ``mpp``: what an encoder sees."""
    patch_size_level0: int
    mpp: float
    level0_mpp: float
    mpp_source: str
    level0_magnification: float
    target_magnification: float
    """``level0_magnification * patch_size / patch_size_level0``: readers that know only the two get the same size."""
    level0_width: int
    level0_height: int
    fingerprint: str
    """Fingerprint of the ``TilingSpec``."""
    settings: str
    """The ``TilingSpec`` as JSON."""
    slide_content: str | None = None
    """``content_print`` of the slide; None in files of earlier versions."""
    frame: str = FRAME
    """What ``coords`` counts in."""
    areas: str | None = None
    """Shares of the slide that are tissue or were left out (``Areas.to_json``); None in files of earlier versions."""
    mask: str | None = None
    """Path of the mask that says where tissue is; None if tissue was detected."""
    overlap: int | None = None
    """Pixels at ``mpp``; None where the tool that chose the patches does not record it."""
    patch_level: int | None = None
    """The level of the slide whose pixels the patches are; None if they are resized."""
    downsample: tuple[float, float] | None = None
    """Downsample of that level, (x, y)."""
    level_dim: tuple[int, int] | None = None
    """(w, h) of that level."""
    bounds: tuple[int, int, int, int] | None = None
    """(x, y, w, h) of the part of level 0 that was scanned, from whose corner QuPath counts; None if not recorded."""


ATTRIBUTES = {f.name: f.default is not MISSING for f in fields(PatchSet) if f.name != "coords_xy"}
"""Name of every attribute, and whether it may be absent, which is None."""


def write_coords(path: Path, patches: PatchSet) -> None:
    """Write one coordinate file, complete or not at all."""
    values = asdict(patches)
    with new_h5(path) as (file, _):
        coords = file.create_dataset("coords", data=values.pop("coords_xy").astype(np.int64))
        for key in ("savetodir", "save_path"):  # where TRIDENT and CLAM say it was saved
            coords.attrs[key] = str(path.parent)
        if patches.level_dim is not None:
            coords.attrs["downsampled_level_dim"] = patches.level_dim  # CLAM has it under both names
        for key, value in values.items():
            if value is None:
                continue
            whole = isinstance(value, float) and value.is_integer() and "magnification" in key
            coords.attrs[key] = int(value) if whole else value  # 20, not 20.0: TRIDENT's readers print and compare it


def read_coords(path: Path) -> PatchSet:
    """Read a coordinate file of ours.

    Raises:
        PathPluginsError: not a coordinate file, or one of another tool.
    """
    with damage_named(path, then="delete it and run pathdata patch again"), h5py.File(path, "r") as file:
        return _patch_set(file, path)


def _patch_set(file: h5py.File, path: Path) -> PatchSet:
    if "coords" not in file:
        found = sorted(map(str, file))
        raise PathPluginsError(f"{path}: no dataset 'coords', only {found}; make it with pathdata patch")
    coords = file["coords"]
    missing = [key for key, optional in ATTRIBUTES.items() if key not in coords.attrs and not optional]
    if missing:
        raise PathPluginsError(
            f"{path}: {_other_tool(file)}'coords' lacks the attributes {', '.join(missing)}; make it with pathdata "
            "patch"
        )
    values = {key: _plain(coords.attrs[key]) for key in ATTRIBUTES if key in coords.attrs}
    return PatchSet(coords_xy=coords[:].astype(np.int64), **values)


def _other_tool(file: h5py.File) -> str:
    """Return the beginning of a refusal of another tool's file, which says what can be done with it; else nothing."""
    attributes = file["coords"].attrs
    if {"features", "feats"} & {*file}:
        return "it holds features, not the patches to make them of (pathdata convert features makes a bag of it): "
    tool = "CLAM" if "patch_level" in attributes else "TRIDENT" if "patch_size_level0" in attributes else ""
    uses = "take its patches with pathdata patch SLIDES --coords FOLDER, or its features with pathdata convert features"
    return f"it is a patch file of {tool}; {uses}: " if tool else ""


def _plain(value: Any) -> Any:
    """Return the Python value of a NumPy attribute."""
    if isinstance(value, np.ndarray):
        return tuple(value.tolist())
    return value.item() if isinstance(value, np.generic) else value
