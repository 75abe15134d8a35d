"""Crops of a whole tree."""

from __future__ import annotations

from pathlib import Path

import pytest
from drawn_patches import draw_patches
from PIL import Image

from pathplugins.core.errors import BadSamplesError, PathPluginsError
from pathplugins.core.files import temporary_beside
from pathplugins.data_tools.pictures.crop import Crop
from pathplugins.data_tools.pictures.crop_sources import NAME as SOURCES
from pathplugins.data_tools.pictures.crop_tree import RECORD, crop_all, plan_crops

CROP = Crop(size=56, from_mpp=0.39, to_mpp=0.5)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def pictures(folder: Path) -> dict[str, bytes]:
    return {name: content for name, content in contents(folder).items() if name != SOURCES}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    source = tmp_path / "in"
    draw_patches(source / "train" / "1", 3, masks=True)
    draw_patches(source / "test", 2, suffix=".jpg")
    (source / "labels.csv").write_text("a,b\n")
    (source / ".hidden.png").write_text("no picture")
    return source


def crop(source: Path, out: Path, *, workers: int = 1, overwrite: bool = False) -> int:
    plan = plan_crops(source, out, CROP, overwrite=overwrite)
    assert list(crop_all(source, out, plan, CROP, workers=workers)) == [None] * len(plan.due)
    assert plan.others == 1
    return len(plan.due)


def test_a_stopped_run_goes_on_to_the_same_files(tree: Path, tmp_path: Path) -> None:
    before = contents(tree)
    whole, out = tmp_path / "whole", tree / "out"  # below the pictures: is not searched
    assert crop(tree, whole, workers=2) == 8
    assert crop(tree, out) == 8
    assert pictures(out) == pictures(whole)
    assert contents(whole).keys() == {*before} - {"labels.csv", ".hidden.png"} | {RECORD, SOURCES}
    lost = out / "train" / "1" / "slide.0_1.png"
    lost.rename(temporary_beside(lost))  # what a killed run leaves
    assert crop(tree, out) == 1
    assert pictures(out) == pictures(whole)
    (out / "test" / "slide.0_0.jpg").write_bytes(b"")
    assert crop(tree, out) == 0
    assert crop(tree, out, overwrite=True) == 8
    assert pictures(out) == pictures(whole)
    assert {k: v for k, v in contents(tree).items() if not k.startswith("out/")} == before


def test_all_files_that_cannot_be_cropped_are_in_one_report(tree: Path, tmp_path: Path) -> None:
    Image.new("RGB", (71, 300)).save(tree / "narrow.png")
    (tree / "broken.png").write_bytes(b"not a picture")
    Image.new("L", (97, 80)).save(tree / "train" / "1" / "slide.0_0_mask.png")
    Image.new("L", (97, 80)).save(tree / "alone_mask.jpg")
    with pytest.raises(BadSamplesError) as error:
        plan_crops(tree, tmp_path / "out", CROP, overwrite=False)
    said = str(error.value)
    assert said.startswith("4 of 11 ")
    assert "narrow.png: too small: 71 x 300 px, wanted 72 or more" in said
    assert "broken.png: not an image" in said
    assert "slide.0_0_mask.png: mask of another size: 97 x 80 px, its picture 96 x 80" in said
    assert "alone_mask.jpg: mask is JPEG" in said
    assert not (tmp_path / "out").exists()


def test_a_file_that_ends_too_soon_stops_no_other(tree: Path, tmp_path: Path) -> None:
    broken = tree / "test" / "slide.0_1.jpg"
    broken.write_bytes(broken.read_bytes()[:900])
    plan = plan_crops(tree, tmp_path / "out", CROP, overwrite=False)
    bad = [sample for sample in crop_all(tree, tmp_path / "out", plan, CROP, workers=1) if sample]
    assert [(sample.source, sample.reason) for sample in bad] == [(str(broken), "unreadable file")]
    assert len(contents(tmp_path / "out")) == 9  # 7 crops, the settings and the sources


def test_folders_that_cannot_be_used_are_named(tree: Path, tmp_path: Path) -> None:
    with pytest.raises(PathPluginsError, match="no such folder"):
        plan_crops(tmp_path / "inn", tmp_path / "out", CROP, overwrite=False)
    with pytest.raises(PathPluginsError, match="the pictures itself"):
        plan_crops(tree, tmp_path / "x" / ".." / "in", CROP, overwrite=False)
    (tmp_path / "empty").mkdir()
    with pytest.raises(PathPluginsError, match="no pictures in it"):
        plan_crops(tmp_path / "empty", tmp_path / "out", CROP, overwrite=False)
