"""Patches of slides: which file says where they are, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.bags import BagAttributes, write_bag
from pathplugins.data_tools.slide_images.sources import Source, find_sources, read_features, read_patches

XY = np.array([[1024, 512], [512, 2048], [0, 0]])


def bag(path: Path, **changes: Any) -> Path:
    sizes: dict[str, Any] = {"patch_size": 256, "patch_size_level0": 512, "mpp": 0.5, "level0_mpp": 0.25}
    about = BagAttributes(slide_id=path.stem, encoder="uni", level0_width=9000, level0_height=9000, **sizes, **changes)
    write_bag(path, [np.arange(12.0).reshape(3, 4)], XY[:, ::-1].copy(), about)
    return path


def test_a_bag_says_where_its_patches_are(tmp_path: Path) -> None:
    patches = read_patches(Source(slide_id="a", bag=bag(tmp_path / "a.h5")))
    assert patches.coords_xy.tolist() == XY.tolist()
    assert (patches.patch_size, patches.patch_size_level0, patches.level0_mpp) == (256, 512, 0.25)
    features = read_features(Source(slide_id="a", bag=tmp_path / "a.h5"), XY)
    assert features.tolist() == np.arange(12.0).reshape(3, 4).tolist()
    with pytest.raises(PathPluginsError, match=r"is of other patches \(3\) than .*; run pathdata features --overwrite"):
        read_features(Source(slide_id="a", bag=tmp_path / "a.h5"), XY[::-1])


def test_a_bag_tiled_a_little_off_its_magnification_keeps_its_places(tmp_path: Path) -> None:
    """266 level-0 pixels shown as 256 are 0.26 um/px of 0.25: what a tower takes for one scale is another place."""
    sizes = {"patch_size": 256, "patch_size_level0": 266, "mpp": 0.25 * 266 / 256, "level0_mpp": 0.25}
    about = BagAttributes(slide_id="a", encoder="uni", level0_width=9000, level0_height=9000, **sizes)
    write_bag(tmp_path / "a.h5", [np.ones((3, 4))], XY[:, ::-1].copy(), about)
    assert read_patches(Source(slide_id="a", bag=tmp_path / "a.h5")).coords_xy.tolist() == XY.tolist()


def test_microns_are_positions_too(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "s.h5", "w") as file:
        file["feats"], file["coords"] = np.ones((3, 4), np.float16), XY * 0.25
        file.attrs.update(unit="um", extractor="ctranspath", tile_size_um=128.0, tile_size_px=224)
        file.attrs["level0_mpp"] = 0.25
    patches = read_patches(Source(slide_id="s", bag=tmp_path / "s.h5"))
    assert patches.coords_xy.tolist() == XY.tolist()
    assert (patches.patch_size, patches.patch_size_level0) == (224, 512)


def test_a_bag_without_a_scale_is_refused_with_what_helps(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "c.h5", "w") as file:
        file["features"], file["coords"] = np.ones((3, 4), np.float16), XY
    with pytest.raises(PathPluginsError, match=r"does not record level0_mpp.*pathdata convert features with --coords"):
        read_patches(Source(slide_id="c", bag=tmp_path / "c.h5"))


def test_folders(tmp_path: Path) -> None:
    with pytest.raises(PathPluginsError, match="no such folder"):
        find_sources(tmp_path / "work", None, features=False)
    for name in ("coords", "bags"):
        (tmp_path / name).mkdir()
    with pytest.raises(PathPluginsError, match=r"neither coords/\*\.h5 nor bags"):
        find_sources(tmp_path, None, features=False)
    for name in ("x.svs.h5", "y.h5"):
        (tmp_path / "coords" / name).touch()
    found = find_sources(tmp_path, None, features=False)
    assert [(name, source.slide_id, source.main.name) for name, source in found.items()] == [
        ("x", "x.svs", "x.svs.h5"),
        ("y", "y", "y.h5"),
    ]
    with pytest.raises(PathPluginsError, match="no bags, and --select kmeans looks at features"):
        find_sources(tmp_path, None, features=True)
    (tmp_path / "bags" / "x.h5").touch()
    assert list(find_sources(tmp_path, None, features=True)) == ["x"]
    assert list(find_sources(tmp_path / "bags", None, features=True)) == ["x"]
    assert find_sources(tmp_path, tmp_path / "bags", features=True)["x"].main.parent.name == "coords"
    (tmp_path / "coords" / "y.svs.h5").touch()
    with pytest.raises(PathPluginsError, match="are of one slide"):
        find_sources(tmp_path, None, features=False)
