"""SegPANDA200: pictures and masks are paired, and masks are never pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import patch_folders as drawn
import pytest
from PIL import Image

from pathplugins.core.errors import BadSamplesError
from pathplugins.data.images import BadImage
from pathplugins.data.patch_sets import read_patch_set
from pathplugins.data.patch_sets.segpanda200 import is_mask, read_segpanda200

PIXELS = np.zeros((5, 7, 3), np.uint8)


def test_masks_in_any_case_are_masks(tmp_path: Path) -> None:
    case = tmp_path / "sEGpanda200/train/3+4/abc"
    for stem, mask in (("a.1", "a.1_mask.png"), ("a.2", "a.2_MASK.PNG"), ("A.1", "A.1_Mask.png")):
        drawn.save(case / f"{stem}.JPG", PIXELS)
        drawn.save(case / mask, PIXELS + 3)
    patches = read_patch_set(tmp_path / "sEGpanda200")
    assert [Path(name).name for name in patches.names] == ["A.1.JPG", "a.1.JPG", "a.2.JPG"]
    assert [patches.mask_file(index).name for index in range(3)] == ["A.1_Mask.png", "a.1_mask.png", "a.2_MASK.PNG"]
    assert patches.labels.tolist() == [-1, -1, -1]
    assert [*patches.groups] == ["abc"] * 3
    assert (patches.read_mask(0) == 3).all()
    assert is_mask(b"x_mask.png")
    assert not is_mask(b"x_masked.png")


def test_the_red_channel_is_the_class(tmp_path: Path) -> None:
    patches = read_segpanda200(drawn.write_segpanda200(tmp_path, size=(21, 13))).whole()
    mask = patches.read_mask(0)
    assert mask.shape == (13, 21)
    assert np.unique(mask).tolist() == sorted({mask[0, 0], mask[0, -1]})


def test_a_value_above_five_is_named(tmp_path: Path) -> None:
    drawn.save(tmp_path / "train/g/c/a.png", PIXELS)
    drawn.save(tmp_path / "train/g/c/a_mask.png", PIXELS + 6)
    with pytest.raises(BadImage, match=r"a_mask.png has the value 6 in its red channel, expected 0 to 5 \(background"):
        read_segpanda200(tmp_path).whole().read_mask(0)


def test_what_has_no_partner_is_a_fault(tmp_path: Path) -> None:
    names = ("a.png", "a.jpg", "a_mask.png", "b.png", "c_mask.png", "d.png", "d_mask.png", "d_MASK.png", "e.png")
    for name in (*names, "e_mask.jpg"):
        drawn.save(tmp_path / "test/g/c" / name, PIXELS)
    with pytest.raises(BadSamplesError):
        read_segpanda200(tmp_path).whole()
    faults = read_segpanda200(tmp_path).faults
    assert sorted((fault.reason, Path(fault.source).name) for fault in faults) == [
        ("mask is no PNG", "e_mask.jpg"),
        ("mask without picture", "c_mask.png"),
        ("missing mask", "b.png"),
        ("second mask", "d_mask.png"),
        ("second picture", "a.png"),
    ]
    assert "expected b_mask.png beside it" in next(fault.detail for fault in faults if fault.reason == "missing mask")


def test_ids_elsewhere_than_in_red_are_refused_and_grey_is_the_class(tmp_path: Path) -> None:
    ids = np.arange(6, dtype=np.uint8).reshape(2, 3)
    coloured = Image.fromarray(ids)
    coloured.putpalette([0, 0, 0, 0, 99, 0, 0, 0, 99, 0, 50, 0, 0, 0, 50, 0, 9, 9])  # its shades of red are all 0
    blue = Image.fromarray(np.stack([0 * ids, 0 * ids, ids], -1))
    for name, mask in (("a", coloured), ("b", Image.fromarray(ids)), ("c", blue)):
        drawn.save(tmp_path / f"train/g/c/{name}.png", np.zeros((2, 3, 3), np.uint8))
        mask.save(tmp_path / f"train/g/c/{name}_mask.png")
    patches = read_segpanda200(tmp_path).whole()
    with pytest.raises(BadImage, match=r"a_mask.png has a palette, expected class ids in the red channel; save it"):
        patches.read_mask(0)
    assert np.array_equal(patches.read_mask(1), ids)
    with pytest.raises(BadImage, match=r"c_mask.png has values in green or blue and none in red"):
        patches.read_mask(2)
