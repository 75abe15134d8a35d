"""The check of all pictures before training."""

from __future__ import annotations

from pathlib import Path

import pytest
from drawn_patches import draw_patches
from patch_folders import write_patchcamelyon
from PIL import Image

from pathplugins.classify.drawn import draw_segpanda200
from pathplugins.classify.pictures import PatchDataset
from pathplugins.classify.pictures.check import check_headers
from pathplugins.core.errors import BadSamplesError
from pathplugins.data.patch_sets import read_patch_set


def test_all_bad_pictures_are_in_one_report(tmp_path: Path) -> None:
    patches = draw_patches(tmp_path, 5)
    check_headers(PatchDataset(patches, size=32, centre_px=80))
    Image.new("RGB", (96, 79)).save(patches.file(1))
    patches.file(3).write_bytes(b"nothing")
    with pytest.raises(BadSamplesError) as error:
        check_headers(PatchDataset(patches, size=32, centre_px=80))
    said = str(error.value)
    assert said.startswith("2 of 5 samples cannot be used")
    assert "slide.0_1.png: smaller than the crop: 96 x 79 px, but 80 px are cut out of it" in said
    assert "slide.1_3.png: not an image" in said


def test_masks_and_pictures_of_all_parts_are_in_one_report(tmp_path: Path) -> None:
    whole = read_patch_set(draw_segpanda200(tmp_path / "SegPANDA200", cases=(2, 1, 1)))
    parts = [whole.part(name) for name in ("train", "valid")]
    Image.new("RGB", (40, 56)).save(parts[0].mask_file(1))
    parts[1].mask_file(0).unlink()
    with pytest.raises(BadSamplesError) as error:
        check_headers(*(PatchDataset(part, size=48) for part in parts))
    first, *lines = str(error.value).splitlines()
    total = len(parts[0]) + len(parts[1])
    assert first == f"2 of {total} samples cannot be used: 1 x mask of another size, 1 x missing file"
    size = "{} x {}".format(*parts[0].read(1).size)
    assert f"{parts[0].mask_file(1)}: mask of another size: 40 x 56 px, but its picture has {size}" in lines[0]


def test_an_h5_file_is_left_to_its_size(tmp_path: Path) -> None:
    check_headers(PatchDataset(read_patch_set(write_patchcamelyon(tmp_path)).part("train"), size=96))
