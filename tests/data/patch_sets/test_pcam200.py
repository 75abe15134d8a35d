"""PCam200: parts, two classes, cases."""

from __future__ import annotations

import shutil
from pathlib import Path

import patch_folders as drawn

from pathplugins.data.patch_sets.pcam200 import read_pcam200


def test_labels_parts_and_cases(tmp_path: Path) -> None:
    patches = read_pcam200(drawn.write_pcam200(tmp_path)).whole()
    assert patches.classes == ("normal", "tumor")
    for index, name in enumerate(patches.names):
        part, label, case, _ = name.split("/")
        assert patches.parts[index] == {"val": "valid"}.get(part, part)
        assert patches.classes[patches.labels[index]] == label
        assert patches.groups[index] == case
    assert [*patches.names] == sorted(patches.names, key=str.encode)


def test_a_case_of_both_classes_is_one_slide(tmp_path: Path) -> None:
    train = read_pcam200(drawn.write_pcam200(tmp_path, cases=1)).whole().part("train")
    assert {*train.labels.tolist()} == {0, 1}
    assert {*train.groups} == {"tumor_train_000"}


def test_what_is_in_no_class_is_a_fault_and_never_misaligned(tmp_path: Path) -> None:
    root = drawn.write_pcam200(tmp_path, cases=1, patches=1)
    shutil.copytree(root / "train/tumor", root / "train/tumour_")
    shutil.copytree(root / "train", root / "training")
    shutil.copytree(root / "train/tumor", root / "other")
    drawn.save(root / "val/normal/loose.png", drawn.picture(0, drawn.np.random.default_rng(0), (5, 7)))
    faults = read_pcam200(root).faults
    assert sorted((fault.reason, Path(fault.source).relative_to(root).as_posix()) for fault in faults) == [
        ("no case", "val/normal/loose.png"),
        ("two folders of one part", "training"),
        ("unknown folder", "other"),
        ("unknown folder", "train/tumour_"),
        ("unknown folder", "training/tumour_"),
    ]
    assert any("did you mean tumor?" in fault.detail for fault in faults)
