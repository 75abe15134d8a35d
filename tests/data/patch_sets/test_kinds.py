"""The kind of a folder, where its name and its contents might be taken for another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import patch_folders as drawn

from pathplugins.data.patch_sets.kinds import kind_of

PIXELS = np.zeros((5, 7, 3), np.uint8)


def test_normal_and_tumor_without_cases_are_class_folders(tmp_path: Path) -> None:
    for name in ("train/normal/1.png", "train/tumor/1.png"):
        drawn.save(tmp_path / name, PIXELS)
    assert kind_of(tmp_path) == "class_folders"
    drawn.save(tmp_path / "train/tumor/case/1.png", PIXELS)
    drawn.save(tmp_path / "train/normal/case/1.png", PIXELS)
    assert kind_of(tmp_path) == "pcam200"
    assert kind_of(tmp_path / "train") == "pcam200"


def test_the_folder_of_thumbnails_is_ptcga200s(tmp_path: Path) -> None:
    (tmp_path / "thumbnail_position_map").mkdir()
    assert kind_of(tmp_path) == "ptcga200"


def test_a_folder_around_is_asked_only_of_a_part(tmp_path: Path) -> None:
    for name in ("a", "test"):
        (tmp_path / "pcam200" / name).mkdir(parents=True)
    assert kind_of(tmp_path / "pcam200/test") == "pcam200"
    assert kind_of(tmp_path / "pcam200/a") == "class_folders"
