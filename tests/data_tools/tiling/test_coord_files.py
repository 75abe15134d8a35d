from dataclasses import fields, replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.tiling.coord_files import ATTRIBUTES, PatchSet, read_coords, write_coords


def patch_set() -> PatchSet:
    return PatchSet(
        coords_xy=np.array([[0, 512], [1024, 512]]),
        name="case.1",
        slide="slides/case.1.svs",
        patch_size=256,
        patch_size_level0=512,
        overlap=0,
        mpp=0.5,
        level0_mpp=0.25,
        mpp_source="openslide.mpp-x",
        level0_magnification=40.0,
        target_magnification=20.0,
        level0_width=1600,
        level0_height=1100,
        fingerprint="abc",
        settings="{}",
    )


def test_round_trip(tmp_path: Path) -> None:
    write_coords(tmp_path / "c.h5", patch_set())
    read = read_coords(tmp_path / "c.h5")
    for field in fields(PatchSet):
        assert np.array_equal(getattr(read, field.name), getattr(patch_set(), field.name)), field.name


def test_trident_readers_find_what_they_look_for(tmp_path: Path) -> None:
    write_coords(tmp_path / "c.h5", patch_set())
    with h5py.File(tmp_path / "c.h5") as file:
        coords = file["coords"]
        assert coords.dtype == np.int64
        assert coords[:].tolist() == [[0, 512], [1024, 512]]  # (x, y)
        attrs = dict(coords.attrs)
    assert attrs["patch_size"] * attrs["level0_magnification"] // attrs["target_magnification"] == 512
    assert isinstance(attrs["level0_magnification"], np.integer)
    names = {"patch_size_level0", "overlap", "name", "level0_width", "level0_height", "mpp", "level0_mpp", "slide"}
    assert names <= set(attrs)


def test_what_may_be_absent_is_none_again(tmp_path: Path) -> None:
    level = replace(
        patch_set(), mask="m.png", patch_level=1, downsample=(4.0, 4.0027), level_dim=(400, 275)
    )  # of 1600 x 1100 pixels
    for number, patches in enumerate((patch_set(), level)):
        write_coords(tmp_path / f"{number}.h5", patches)
        read = read_coords(tmp_path / f"{number}.h5")
        for name in ("mask", "patch_level", "downsample", "level_dim"):
            assert getattr(read, name) == getattr(patches, name)
    with h5py.File(tmp_path / "0.h5") as file:
        assert "patch_level" not in file["coords"].attrs


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.h5").write_text("no")
    with h5py.File(tmp_path / "clam.h5", "w") as file:
        file.create_dataset("coords", data=np.zeros((3, 2), int)).attrs["patch_size"] = 256
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = 1
    for name, message in (("text", "not a readable HDF5"), ("clam", "lacks.*mpp"), ("other", "no dataset 'coords'")):
        with pytest.raises(PathPluginsError, match=message):
            read_coords(tmp_path / f"{name}.h5")


@pytest.mark.parametrize(
    ("datasets", "attributes", "message"),
    [
        (("coords",), {"patch_size": 256, "patch_level": 1}, "a patch file of CLAM.*pathdata patch SLIDES --coords"),
        (("coords",), {"patch_size": 256, "patch_size_level0": 512}, "a patch file of TRIDENT"),
        (("coords", "features"), {"patch_size": 256}, "it holds features.*convert features makes a bag"),
    ],
)
def test_files_of_other_tools_are_told_apart(
    tmp_path: Path, datasets: tuple[str, ...], attributes: dict[str, int], message: str
) -> None:
    with h5py.File(tmp_path / "s.h5", "w") as file:
        for name in datasets:
            file[name] = np.zeros((3, 2))
        file["coords"].attrs.update(attributes)
    with pytest.raises(PathPluginsError, match=message):
        read_coords(tmp_path / "s.h5")


def test_damage_inside_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file[b"\xff"] = 1
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["coords"] = ["a"]
        file["coords"].attrs.update(dict.fromkeys(ATTRIBUTES, 1))
    for name, message in (("a", "no dataset 'coords'"), ("b", "not a readable HDF5 file")):
        with pytest.raises(PathPluginsError, match=rf"{name}\.h5: {message}"):
            read_coords(tmp_path / f"{name}.h5")
