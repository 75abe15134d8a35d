"""Write TRIDENT's feature files: ``features_<encoder>/<slide>.h5``, positions int64 (x, y) level-0 pixels."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from pathplugins.data.new_h5 import new_h5

from ..slides.resolution import MICRONS_PER_PIXEL_AT_1X
from .base import Geometry
from .h5_rows import write_rows


def path_of(out: Path, slide_id: str, encoder: str) -> Path:
    """Return the path of a slide's file."""
    safe = re.sub(r"[^\w.-]+", "_", encoder)
    return out / f"features_{safe}" / f"{slide_id}.h5"


def write(
    path: Path,
    blocks: Iterable[np.ndarray],
    coords_xy: np.ndarray,
    geometry: Geometry,
    *,
    width: int,
    dtype: str,
    mark: dict[str, str],
) -> None:
    """Write the file; ``geometry`` must be complete, ``mark`` becomes root attributes."""
    n, attributes = len(coords_xy), _attributes(geometry, path)
    with new_h5(path) as (file, disk):
        features = write_rows(file, "features", disk.checked(blocks), shape=(n, width), dtype=dtype)
        features.attrs.update(name=path.stem, savetodir=str(path.parent), encoder=geometry.encoder)
        write_rows(file, "coords", [coords_xy], shape=(n, 2), dtype="int64").attrs.update(attributes)
        file.attrs.update(mark)


def _attributes(geometry: Geometry, path: Path) -> dict[str, str | int | float]:
    """Return the attributes of ``coords``: TRIDENT's magnifications, and the exact resolutions beside them."""

    def magnification(mpp: float) -> float | int:
        value = round(MICRONS_PER_PIXEL_AT_1X / mpp, 2)
        return int(value) if value.is_integer() else value

    return {
        "patch_size": geometry.patch_size,
        "patch_size_level0": geometry.patch_size_level0,
        "level0_magnification": magnification(geometry.level0_mpp),
        "target_magnification": magnification(geometry.mpp),
        "name": path.stem,
        "savetodir": str(path.parent),
        "level0_width": geometry.level0_width,
        "level0_height": geometry.level0_height,
        # a magnification alone stays one: its mpp would be taken for measured ones
        **({} if geometry.nominal else {"mpp": geometry.mpp, "level0_mpp": geometry.level0_mpp}),
    }
