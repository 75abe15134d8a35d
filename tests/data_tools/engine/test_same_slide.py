"""A result is of the slide that has its name now, or it is refused; content decides, not the path."""

import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import pytest

from pathplugins.core.content import content_print
from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.engine.same_slide import check_same_slide
from pathplugins.data_tools.tiling.coord_files import read_coords

Pathdata = Callable[..., tuple[int, str]]
RANDOM = ("--encoder", "test_vit", "--random-weights", 0, "--device", "cpu")
TILING = ("--patch-size", 160, "--workers", 1)


def test_other_content_is_refused_and_a_copy_is_not(tmp_path: Path) -> None:
    (tmp_path / "x.svs").write_bytes(b"one")
    (tmp_path / "old.svs").write_bytes(b"one")
    content = content_print(tmp_path / "x.svs")
    check_same_slide(tmp_path / "x.h5", tmp_path / "old.svs", content=content, was="x.svs")
    check_same_slide(tmp_path / "x.h5", tmp_path / "old.svs", content=None, was="x.svs")  # of an earlier version
    (tmp_path / "x.svs").write_bytes(b"another")
    with pytest.raises(PathPluginsError, match=r"made from another slide, cohort/x\.svs \(3 bytes.* is 7 bytes"):
        check_same_slide(tmp_path / "x.h5", tmp_path / "x.svs", content=content, was="cohort/x.svs")
    with pytest.raises(PathPluginsError, match=r"x\.svs as it was then"):
        check_same_slide(tmp_path / "x.h5", tmp_path / "x.svs", content=content, was=str(tmp_path / "x.svs"))


@pytest.fixture
def cohorts(slides_folder: Path, tmp_path: Path) -> Path:
    """``one/s.svs`` and ``two/s.svs``, two slides with one name."""
    pytest.importorskip("openslide")
    for cohort, name in (("one", "a"), ("two", "b")):
        (tmp_path / cohort).mkdir()
        shutil.copyfile(slides_folder / f"{name}.svs", tmp_path / cohort / "s.svs")
    return tmp_path


def test_a_second_cohort_with_the_same_names_is_refused_everywhere(pathdata: Pathdata, cohorts: Path) -> None:
    work = cohorts / "work"
    pictures = ("--save-patches", "jpeg")
    assert pathdata("patch", cohorts / "one", "--out", work, *TILING, *pictures)[0] == 0
    for command in (("patch",), ("run", *RANDOM)):
        code, said = pathdata(command[0], cohorts / "two", "--out", work, *TILING, *command[1:])
        assert code == 1, said
        assert f"made from another slide, {cohorts / 'one' / 's.svs'}" in said
        code, said = pathdata(command[0], cohorts / "two", "--out", work, *TILING, *command[1:], "--dry-run")
        assert "s: would fail: " in said
    assert pathdata("features", work, *RANDOM)[0] == 0
    assert pathdata("patch", cohorts / "two", "--out", work, *TILING, "--overwrite")[0] == 0
    code, said = pathdata("features", work, *RANDOM)
    assert code == 1
    assert "is of another slide called 's'" in said
    code, said = pathdata("patch", cohorts / "two", "--out", work, *TILING, *pictures)
    assert code == 1
    assert f"pictures of another slide called s, {cohorts / 'one' / 's.svs'}" in said


def test_a_moved_slide_is_the_same_slide(pathdata: Pathdata, cohorts: Path) -> None:
    work, moved = cohorts / "work", cohorts / "moved" / "deep"
    assert pathdata("patch", cohorts / "one", "--out", work, *TILING)[0] == 0
    moved.parent.mkdir()
    (cohorts / "one").rename(moved)
    code, said = pathdata("run", moved, "--out", work, *TILING, *RANDOM)
    assert code == 0, said
    assert read_coords(work / "coords" / "s.h5").slide == str(moved / "s.svs")
    with h5py.File(work / "bags" / "s.h5") as file:
        assert file.attrs["slide_content"] == content_print(moved / "s.svs")
    assert pathdata("features", work, *RANDOM, "--overwrite")[0] == 0  # the new place is recorded


def test_a_slide_exchanged_under_its_name_is_noticed_by_features(pathdata: Pathdata, cohorts: Path) -> None:
    work = cohorts / "work"
    assert pathdata("patch", cohorts / "one", "--out", work, *TILING)[0] == 0
    shutil.copyfile(cohorts / "two" / "s.svs", cohorts / "one" / "s.svs")
    code, said = pathdata("features", work, *RANDOM)
    assert code == 1
    assert "as it was then" in said
    code, said = pathdata("features", work, *RANDOM, "--slides", cohorts)
    assert code == 1
    assert "2 files called s.svs" in said


def test_of_several_files_with_the_name_the_content_tells(pathdata: Pathdata, cohorts: Path) -> None:
    work = cohorts / "work"
    assert pathdata("patch", cohorts / "one", "--out", work, *TILING)[0] == 0
    (cohorts / "one").rename(cohorts / "later")
    assert pathdata("features", work, *RANDOM)[0] == 1
    code, said = pathdata("features", work, *RANDOM, "--slides", cohorts)
    assert code == 0, said
