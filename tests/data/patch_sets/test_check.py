"""Checking pictures finds everything that only reading them tells."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import patch_folders as drawn

from pathplugins.data.patch_sets import read_patch_set
from pathplugins.data.patch_sets.check import check_pictures


def test_all_faults_of_pictures_and_masks_are_found(tmp_path: Path) -> None:
    root = drawn.write_segpanda200(tmp_path, cases=1, patches=4, size=(21, 13))
    case = next((root / "train").glob("*/*"))
    whole = (case / "x.0.png").read_bytes()
    (case / "x.0.png").write_bytes(whole[: len(whole) // 2])
    drawn.save(case / "x.1_mask.png", np.zeros((21, 13), np.uint8))
    drawn.save(case / "x.2_mask.png", np.full((13, 21), 6, np.uint8))
    (case / "x.3_mask.png").write_bytes(b"no picture")
    patches = read_patch_set(root, "segpanda200")
    read: list[int] = []
    checked = check_pictures(patches, tell=read.append)
    assert sum(read) == len(patches) == 12
    assert checked.sizes == {(21, 13): 11}
    assert sorted((fault.reason, Path(fault.source).name) for fault in checked.faults) == [
        ("mask of another size", "x.1_mask.png"),
        ("not an image", "x.3_mask.png"),
        ("unknown mask value", "x.2_mask.png"),
        ("unreadable file", "x.0.png"),
    ]
    assert "13 x 21 pixels, its picture has 21 x 13" in " ".join(fault.detail for fault in checked.faults)
    assert not check_pictures(patches, [0, 1]).faults  # test comes first
