"""Slides of a run: the process list and the table of resolutions choose, and say what they name in vain."""

from pathlib import Path

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.tiling.slides_to_cut import slides_to_cut
from pathplugins.data_tools.tiling.spec import TilingSpec

SLIDES = [Path("in/a.svs"), Path("in/b.c.svs")]
SPEC = TilingSpec(patch_size=160)


def test_without_lists_every_slide_is_cut_alike_and_a_list_is_written(tmp_path: Path) -> None:
    assert slides_to_cut(SLIDES, SPEC, tmp_path, dry_run=True) == dict.fromkeys(SLIDES, SPEC)
    assert not list(tmp_path.iterdir())
    assert slides_to_cut(SLIDES, SPEC, tmp_path) == dict.fromkeys(SLIDES, SPEC)
    assert (tmp_path / "process_list.csv").is_file()


def test_the_list_of_the_work_folder_leaves_out_and_changes(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "process_list.csv").write_text("slide_id,process,min_tissue\na,0,\nb.c,1,0.75\ngone,1,\n")
    chosen = slides_to_cut(SLIDES, SPEC, tmp_path)
    assert {slide.name: spec.min_tissue for slide, spec in chosen.items()} == {"b.c.svs": 0.75}
    said = capfd.readouterr().err
    assert "process_list.csv: 1 of its slides are not among those given: gone" in said
    assert "process_list.csv: 1 of 2 slides are left out" in said


def test_a_list_of_the_users_own_is_the_choice_and_is_not_written_to(tmp_path: Path) -> None:
    own = tmp_path / "own.csv"
    own.write_text("slide_id\na\n")
    assert [*slides_to_cut(SLIDES, SPEC, tmp_path / "work", process_list=own)] == [SLIDES[0]]
    assert own.read_text() == "slide_id\na\n"
    assert not (tmp_path / "work").exists()


def test_the_table_overrides_single_slides(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "mpp.csv"
    table.write_text("slide,mpp\nb.c.svs,0.23\nother,0.5\n")
    chosen = slides_to_cut(SLIDES, SPEC, tmp_path, mpp_csv=table)
    assert [spec.override_mpp for spec in chosen.values()] == [None, 0.23]
    assert "mpp.csv: 1 of its slides are not among those given: other" in capfd.readouterr().err


def test_a_list_that_leaves_out_all_slides_is_refused(tmp_path: Path) -> None:
    (tmp_path / "process_list.csv").write_text("slide_id,process\na,0\nb.c,0\n")
    with pytest.raises(PathPluginsError, match="leaves out all 2 slides; set process to 1 for those to be done"):
        slides_to_cut(SLIDES, SPEC, tmp_path)


NUMBERED = [Path("in/00123.svs"), Path("in/00124.svs")]


@pytest.mark.parametrize("header", ["slide_id,process", "slide_id,process,slide"])
def test_ids_that_a_spreadsheet_changed_are_still_those_slides(
    header: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = ",in/00123.svs" if header.endswith("slide") else ""
    table = tmp_path / "process_list.csv"
    table.write_text(f"{header}\n123,0{path}\n")
    assert [*slides_to_cut(NUMBERED, SPEC, tmp_path)] == NUMBERED[1:]
    assert "1 id changed by a spreadsheet, read as before the change: 123 is 00123" in capfd.readouterr().err
    rows = [line.split(",")[0] for line in table.read_text().splitlines()]
    assert rows == ["slide_id", "123", "00124"]  # 123 stays as it is written, and 00123 is not added
    assert [*slides_to_cut(NUMBERED, SPEC, tmp_path)] == NUMBERED[1:]


def test_a_slide_of_another_run_with_a_like_name_is_left_alone(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "process_list.csv").write_text("slide_id,slide,process\n123,in/123.svs,0\n")
    assert [*slides_to_cut(NUMBERED, SPEC, tmp_path)] == NUMBERED
    assert "1 of its slides are not among those given: 123" in capfd.readouterr().err


def test_ids_that_are_no_longer_clear_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "process_list.csv").write_text("slide_id,process\n123,0\n")
    with pytest.raises(PathPluginsError, match=r"123 may be 00123 or 0123: correct them"):
        slides_to_cut([Path("in/00123.svs"), Path("in/0123.svs")], SPEC, tmp_path)


def test_resolutions_are_of_the_slides_that_the_ids_were(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "mpp.csv"
    table.write_text("slide,mpp\n124.0,0.23\n7,0.5\n")
    chosen = slides_to_cut(NUMBERED, SPEC, tmp_path, mpp_csv=table)
    assert [spec.override_mpp for spec in chosen.values()] == [None, 0.23]
    said = capfd.readouterr().err
    assert "124.0 is 00124" in said
    assert "mpp.csv: 1 of its slides are not among those given: 7" in said
