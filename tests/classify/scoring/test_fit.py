"""What may be scored: the same classes; no picture or slide of the training, under whatever folder it is given."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest

from pathplugins.classify.runs import Run, load_run
from pathplugins.classify.scoring.fit import check_classes, check_unseen
from pathplugins.core.errors import PathPluginsError
from pathplugins.data.patch_sets import read_patch_set
from tests.fixtures.drawn_runs import draw_glands, draw_tumours, make_run


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_tumours(tmp_path_factory.mktemp("data") / "PCam200", cases=2, patches=2)


@pytest.fixture(scope="module")
def run(data: Path) -> Run:
    make_run(data.parent / "run", data)
    return load_run(data.parent / "run")


@pytest.mark.parametrize("folder", [".", "train"])
def test_pictures_of_the_training_are_refused_from_any_folder(data: Path, run: Run, folder: str) -> None:
    with pytest.raises(PathPluginsError, match=r"8 pictures \(.*0 <&>\.png.*4 slides .*--allow-training-data"):
        check_unseen(run, read_patch_set(data / folder))


def test_other_parts_are_taken(data: Path, run: Run) -> None:
    whole = read_patch_set(data)
    for patches in (whole.part("test"), whole.part("valid"), read_patch_set(data / "test")):
        assert len(patches) == 8
        check_unseen(run, patches)


def test_a_run_on_the_folder_of_a_part_knows_its_pictures_in_the_whole(data: Path, run: Run) -> None:
    part = read_patch_set(data / "train")
    moved = dataclasses.replace(run, record={**run.record, "data": str(data / "train")})
    vars(moved)["names_of_training"] = frozenset(part.names)
    with pytest.raises(PathPluginsError, match="8 pictures"):
        check_unseen(moved, read_patch_set(data))
    check_unseen(moved, read_patch_set(data).part("test"))


def test_new_pictures_of_a_known_slide_are_refused(data: Path, run: Run, tmp_path: Path) -> None:
    known = next((data / "train" / "tumor").iterdir())
    shutil.copytree(data / "test", tmp_path / "test")
    folder = tmp_path / "test" / "tumor" / known.name
    folder.mkdir()
    shutil.copyfile(next(known.iterdir()), folder / "new.png")
    with pytest.raises(PathPluginsError, match=rf"trained on 1 slides \({known.name}\)"):
        check_unseen(run, read_patch_set(tmp_path / "test"))


def test_other_classes_are_refused_and_named(data: Path, run: Run, tmp_path: Path) -> None:
    check_classes(run, read_patch_set(data))
    for classes, said in (
        (("normal", "tumor", "fat"), "the run does not know fat"),
        (("normal", "stroma"), "the data lack tumor; the run does not know stroma"),
        (("tumor", "normal"), "their order is normal, tumor and tumor, normal"),
    ):
        with pytest.raises(PathPluginsError, match=said):
            check_classes(run, dataclasses.replace(read_patch_set(data), classes=classes))
    masks = read_patch_set(draw_glands(tmp_path / "glands", cases=1, patches=1))
    with pytest.raises(PathPluginsError, match=r"predicts classes and .* has masks"):
        check_classes(run, masks)


def test_a_part_without_a_class_is_told_of_the_whole(data: Path, run: Run) -> None:
    part = dataclasses.replace(read_patch_set(data / "test"), classes=("tumor",), kind="class_folders")
    with pytest.raises(PathPluginsError, match=r"the data lack normal; .* and --part"):
        check_classes(run, part)
