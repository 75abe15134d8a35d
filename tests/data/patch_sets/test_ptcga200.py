"""PTCGA200: 24 folders, 20 classes, dotted names, order of bytes."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import patch_folders as drawn
import pytest

from pathplugins.core.errors import BadSamplesError
from pathplugins.data.patch_sets.ptcga200 import read_ptcga200
from pathplugins.published.patchtcga import IGNORED_FOLDER, ORGAN_OF, ORGANS

PIXELS = np.zeros((5, 7, 3), np.uint8)


def test_all_folders_are_twenty_classes(tmp_path: Path) -> None:
    root = drawn.write_ptcga200(tmp_path, [*ORGAN_OF][::-1], slides=1, patches=1)
    (root / IGNORED_FOLDER).mkdir()
    drawn.save(root / IGNORED_FOLDER / "map.png", PIXELS)
    found = read_ptcga200(root)
    patches = found.whole()
    assert [name.partition("/")[0] for name in patches.names] == sorted(ORGAN_OF)
    assert patches.labels.tolist() == [ORGAN_OF[organ] for organ in sorted(ORGAN_OF)]
    assert patches.classes == ORGANS
    assert (patches.patch_px, patches.mpp) == (512, 0.39)
    assert "NIH" in patches.licence
    assert not found.notes


def test_dotted_names_suffixes_in_any_case_and_the_order_of_bytes(tmp_path: Path) -> None:
    names = ["TCGA-02-0001-01Z-00-DX1.a.b_2.JPEG", "TCGA-02-0001-01Z-00-DX1.a.b_10.jpg", "b.PNG", "Z.jpg", "é.jpg"]
    for name in names:
        drawn.save(tmp_path / "brain" / name, PIXELS)
    (tmp_path / "brain" / "Thumbs.db").write_bytes(b"")
    drawn.save(tmp_path / "lung" / ".hidden.png", PIXELS)
    found = read_ptcga200(tmp_path)
    wanted = [names[1], names[0], "Z.jpg", "b.PNG", "é.jpg"]
    assert [*found.whole().names] == [f"brain/{name}" for name in wanted]
    assert [*found.patches.groups] == ["TCGA-02-0001-01Z-00-DX1"] * 2 + [""] * 3
    assert found.notes[0].startswith("22 of 24 organ folders are not there: adrenal_gland, ")
    assert found.notes[1] == "1 files that are no pictures are ignored"


def test_all_faults_in_one_report(tmp_path: Path) -> None:
    for name in ("Brain/a.png", "brian/a.png", "train/brain/a.png", "lung/deep/a.png", "a.png"):
        drawn.save(tmp_path / name, PIXELS)
    with pytest.raises(BadSamplesError) as error:
        read_ptcga200(tmp_path).whole()
    told = str(error.value)
    assert "4 of 5 samples cannot be used: 3 x unknown folder, 1 x no organ" in told
    assert f"{tmp_path / 'brian'}: unknown folder: did you mean brain? expected adrenal_gland" in told
    assert f"{tmp_path / 'train'}: unknown folder" in told
    assert "folders of parts hold classes in kind class_folders" in told
    assert f"{tmp_path / 'lung/deep'}: unknown folder" in told


def test_a_name_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    drawn.save(tmp_path / "brain" / "a.png", PIXELS)
    (tmp_path / "brain" / "a.png").rename(tmp_path / "brain" / os.fsdecode(b"\xff.png"))
    (fault,) = read_ptcga200(tmp_path).faults
    assert (fault.source, fault.reason) == (rf"{tmp_path}/brain/\xff.png", "name is not UTF-8")
