"""Placement of patches: the container of a slide, its patch file and the options must agree."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.bags.base import Geometry, Opened, Source
from pathplugins.data_tools.bags.placement import place_patches

XY = np.stack([np.arange(5) * 512, np.arange(5) % 2 * 512 + 7168], axis=1)
SOURCE = Source(path=Path("a.csv"), kind="slidechat-csv", slide_id="a")
GIVEN = Geometry(encoder="uni", patch_size=256, mpp=0.5, level0_mpp=0.25, level0_width=9001, level0_height=8001)


def opened(coords_xy: np.ndarray | None, unit: str = "px0", geometry: Geometry | None = None) -> Opened:
    return Opened(
        **{"rows": 5, "width": 3, "dtype": "float32", "blocks": iter(())},
        geometry=geometry or Geometry(),
        coords_xy=coords_xy,
        unit=unit,  # type: ignore[arg-type]
    )


def patch_file(path: Path, xy: np.ndarray) -> Path:
    with h5py.File(path, "w") as file:
        file["coords"] = xy
        file["coords"].attrs.update(patch_size=256, patch_size_level0=512)
    return path


def test_the_geometry_is_completed() -> None:
    geometry, xy = place_patches(SOURCE, opened(XY), GIVEN, None, to="pathplugins")
    assert geometry.patch_size_level0 == 512
    np.testing.assert_array_equal(xy, XY)


def test_microns_become_pixels() -> None:
    _, xy = place_patches(SOURCE, opened(XY * 0.25 + 0.01, "um"), GIVEN, None, to="trident")
    np.testing.assert_array_equal(xy, XY)
    assert xy.dtype == np.int64


def test_positions_of_a_patch_file(tmp_path: Path) -> None:
    path = patch_file(tmp_path / "a.h5", XY)
    geometry, xy = place_patches(SOURCE, opened(None), Geometry(), path, to="clam")  # CLAM records no geometry
    np.testing.assert_array_equal(xy, XY)
    assert geometry.patch_size_level0 == 512
    with pytest.raises(PathPluginsError, match=r"holds features without positions, .*pass --coords DIR"):
        place_patches(SOURCE, opened(None), GIVEN, None, to="pathplugins")


def test_a_patch_file_of_another_run(tmp_path: Path) -> None:
    path = patch_file(tmp_path / "a.h5", XY[:4])
    with pytest.raises(PathPluginsError, match=r"5 rows but .* has 4 positions; pass --coords with the patch files"):
        place_patches(SOURCE, opened(None), Geometry(), path, to="clam")
    path = patch_file(tmp_path / "a.h5", XY + np.eye(5, 2, -3, dtype=int))
    with pytest.raises(PathPluginsError, match=r"row 3 is at x, y = \[1536, 7680\] but in .* at \[1537, 7680\]"):
        place_patches(SOURCE, opened(XY), Geometry(), path, to="clam")


def test_what_is_missing_is_asked_for() -> None:
    with pytest.raises(PathPluginsError, match=r"records no encoder, .*pass --encoder NAME"):
        place_patches(SOURCE, opened(XY), Geometry(), None, to="pathplugins")
