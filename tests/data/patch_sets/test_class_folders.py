"""Class folders: parts above the classes are never classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import patch_folders as drawn
import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.patch_sets.class_folders import read_class_folders

PIXELS = np.zeros((5, 7, 3), np.uint8)


def save(root: Path, *names: str) -> Path:
    for name in names:
        drawn.save(root / name, PIXELS)
    return root


def test_classes_slides_and_order(tmp_path: Path) -> None:
    root = save(tmp_path, "b/s1/x.png", "b/TCGA-02-0001-01Z-00-DX1_1.png", "B/y.png", "_old/a.png", ".cache/a.png")
    patches = read_class_folders(root).whole()
    assert patches.classes == ("B", "b")
    names = ["B/y.png", "b/TCGA-02-0001-01Z-00-DX1_1.png", "b/s1/x.png"]
    assert [*patches.names] == names
    assert patches.labels.tolist() == [0, 1, 1]
    assert [*patches.groups] == ["", "TCGA-02-0001-01Z-00-DX1", "s1"]
    assert {*patches.parts} == {""}


def test_parts_are_no_classes(tmp_path: Path) -> None:
    root = save(tmp_path, "Train/a/1.png", "Train/b/1.png", "val/a/2.png", "test/b/3.png")
    patches = read_class_folders(root).whole()
    assert patches.classes == ("a", "b")
    assert [*patches.parts] == ["train", "train", "test", "valid"]
    assert patches.labels.tolist() == [0, 1, 1, 0]


@pytest.mark.parametrize("names", [("train/a/1.png", "b/1.png"), ("train/1.png", "test/2.png")])
def test_what_is_not_certain_is_refused(tmp_path: Path, names: tuple[str, ...]) -> None:
    with pytest.raises(PathPluginsError, match=r"(train|test) .*is the name of a part.*expected a folder per class"):
        read_class_folders(save(tmp_path, *names))


def test_faults(tmp_path: Path) -> None:
    save(tmp_path, "a/1.png")
    assert [fault.reason for fault in read_class_folders(tmp_path).faults] == ["fewer than two classes"]
    (tmp_path / "b").mkdir()
    assert [fault.reason for fault in read_class_folders(tmp_path).faults] == ["no pictures"]


def test_patch_sets_are_no_classes(tmp_path: Path) -> None:
    save(tmp_path, "PCam200/train/normal/1.png", "PCam200/val/tumor/2.png", "other/a/x.png", "other/a/X.png")
    save(tmp_path, "seg/c/1.png", "seg/c/1_MASK.png", "seg/c/alone_mask.png")
    faults = {Path(fault.source).name: fault for fault in read_class_folders(tmp_path).faults}
    assert faults["PCam200"].detail.startswith("it has train, val in it: name this folder instead of")
    assert faults["1_MASK.png"].reason == "a mask and no picture"
    assert len(faults) == 2
