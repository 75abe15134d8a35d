"""Patch files of CLAM, TRIDENT and ours: positions, and the geometry recorded with them."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.bags.patch_files import find_patch_files, read_patch_file

XY = np.stack([np.arange(7) * 512 + 3, np.arange(7) // 3 * 512 + 39_000], axis=1)  # wider than a square would allow


def patches(path: Path, **attributes: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        file["coords"] = XY
        file["coords"].attrs.update(attributes)
    return path


def test_clam_records_a_level_and_its_downsample(tmp_path: Path) -> None:
    found = read_patch_file(
        patches(tmp_path / "a.h5", patch_size=256, patch_level=1, downsample=(2.0, 2.0), level_dim=(30_000, 20_501))
    )
    assert found.tool == "clam"
    np.testing.assert_array_equal(found.coords_xy, XY)
    geometry = found.geometry
    assert (geometry.patch_size, geometry.patch_size_level0, geometry.mpp) == (256, 512, None)
    assert (geometry.level0_width, geometry.level0_height) == (60_000, 41_002)


def test_trident_records_all(tmp_path: Path) -> None:
    found = read_patch_file(
        patches(
            tmp_path / "a.h5",
            **{"patch_size": 256, "patch_size_level0": 512, "level0_width": 60_000, "level0_height": 41_003},
            **{"level0_magnification": 40, "target_magnification": 20},
        )
    )
    assert (found.tool, found.geometry.patch_size_level0, found.geometry.level0_height) == ("trident", 512, 41_003)


def test_files_are_found_by_slide(tmp_path: Path) -> None:
    patches(tmp_path / "deep" / "a_patches.h5")
    patches(tmp_path / "b.h5")
    with h5py.File(tmp_path / "features.h5", "w") as file:
        file["features"], file["coords"] = XY, XY
    (tmp_path / "text.h5").write_text("no H5")
    assert find_patch_files(tmp_path) == {"a": tmp_path / "deep" / "a_patches.h5", "b": tmp_path / "b.h5"}
    patches(tmp_path / "other" / "b.h5")
    with pytest.raises(PathPluginsError, match=r"two patch files of b, .*pass the folder of one run"):
        find_patch_files(tmp_path)


def test_a_mistyped_folder_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "patches").mkdir()
    with pytest.raises(PathPluginsError, match=r"--coords .*: no such folder; .*; did you mean .*patches\?"):
        find_patch_files(tmp_path / "pathces")


def test_what_is_no_patch_file(tmp_path: Path) -> None:
    with pytest.raises(PathPluginsError, match=r"--coords .*no patch file in it"):
        find_patch_files(tmp_path)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["coords"] = XY[:, :1]
    with pytest.raises(PathPluginsError, match=r"`coords` is int64 \(7, 1\), expected integers \(N, 2\)"):
        read_patch_file(tmp_path / "a.h5")
