from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.splits.bag_names import bag_names
from pathplugins.data_tools.splits.row_groups import GroupRule


def bag(path: Path, *groups: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for group in groups or ("",):
            names = ("features", "coords_yx") if not group else (f"{group}/feat", f"{group}/coords")
            file[names[0]] = np.ones((3, 8), np.float16)
            file[names[1]] = np.arange(6).reshape(3, 2)


def test_bags_are_named_by_path_and_grouped_by_slide(tmp_path: Path) -> None:
    bag(tmp_path / "a" / "TCGA-AB-0001-01Z-00-DX1.uu.h5")
    bag(tmp_path / "b" / "s2.svs.h5")
    bag(tmp_path / "many.h5", "s3", "s4")
    found = bag_names(tmp_path, GroupRule(by="slide"))
    assert {(each.name, each.group) for each in found} == {
        ("a/TCGA-AB-0001-01Z-00-DX1.uu.h5", "TCGA-AB-0001-01Z-00-DX1"),
        ("b/s2.svs.h5", "s2"),
        ("many.h5#s3", "s3"),
        ("many.h5#s4", "s4"),
    }
    patients = [each.group for each in bag_names(tmp_path, GroupRule(by="patient"))]
    assert sorted(map(str, patients)) == ["None", "None", "None", "TCGA-AB-0001"]


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    bag(tmp_path / "s1.h5")
    (tmp_path / "s2.h5").write_bytes(b"half")
    with pytest.raises(PathPluginsError, match=r"1 files cannot be read(.|\n)*s2\.h5"):
        bag_names(tmp_path, GroupRule(by="slide"))


def test_a_folder_of_pictures_names_the_command_for_it(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    with pytest.raises(PathPluginsError, match="divide pictures with `pathdata patchtcga split"):
        bag_names(tmp_path, GroupRule(by="slide"))
