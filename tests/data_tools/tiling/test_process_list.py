import argparse
import csv
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.tiling.coord_files import read_coords
from pathplugins.data_tools.tiling.process_list import COLUMNS, read_process_list, record_questions, update_process_list
from pathplugins.data_tools.tiling.spec import TilingSpec
from pathplugins.data_tools.tissue.detect import TissueSpec

Pathdata = Callable[..., tuple[int, str]]
SLIDES = [Path("slides/a.svs"), Path("slides/b.1.svs")]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


def edit(path: Path, slide_id: str, **cells: str) -> None:
    """As a user does, with a spreadsheet: a mark in front, other line ends, an empty line at the end."""
    there = rows(path)
    (row,) = (row for row in there if row["slide_id"] == slide_id)
    row.update(cells)
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.DictWriter(file, [*there[0]])
        writer.writeheader()
        writer.writerows(there)
        file.write("," * (len(there[0]) - 1) + "\r\n")


def test_a_new_list_has_every_slide_and_blank_cells(tmp_path: Path) -> None:
    path = tmp_path / "out" / "process_list.csv"
    update_process_list(path, SLIDES)
    assert path.read_text().splitlines()[0] == ",".join(COLUMNS)
    assert [(row["slide_id"], row["slide"], row["process"]) for row in rows(path)] == [
        ("a", "slides/a.svs", "1"),
        ("b.1", "slides/b.1.svs", "1"),
    ]
    assert not any(cell for row in rows(path) for key, cell in row.items() if key not in COLUMNS[:3])
    spec = TilingSpec(min_tissue=0.4, tissue=TissueSpec(open_um=9))
    assert [row.applied(spec) for row in read_process_list(path, spec).values()] == [spec, spec]
    assert [p.name for p in path.parent.iterdir()] == ["process_list.csv"]


def test_what_was_edited_stays_and_new_slides_are_appended(tmp_path: Path) -> None:
    path = tmp_path / "process_list.csv"
    update_process_list(path, SLIDES)
    edit(path, "a", process="0", slide="elsewhere.svs", close_um=" 12.50 ", min_value="30")
    as_edited = path.read_bytes()
    update_process_list(path, SLIDES)
    assert path.read_bytes() == as_edited  # nothing new: not touched
    update_process_list(path, [Path("z.tif"), *SLIDES])
    assert [row["slide_id"] for row in rows(path)] == ["a", "b.1", "z"]
    first = rows(path)[0]
    assert (first["process"], first["slide"], first["close_um"], first["min_value"]) == (
        *("0", "elsewhere.svs", "12.50", "30"),
    )


def test_cells_change_one_slide(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text(
        "slide_id,process,remove_pen,close_um,min_area_um2,max_saturation,slide_mpp,min_tissue\n"
        "a,1,no,8,0,60,0.2525,0.6\n"
        "b,0,,,,,,\n"
        "c,,TRUE,,,,,\n"
    )
    spec = TilingSpec(patch_size=99, slide_mpp=0.5)
    found = read_process_list(path, spec)
    assert [row.process for row in found.values()] == [True, False, True]
    tissue = TissueSpec(remove_pen=False, close_um=8.0, min_area_um2=0.0, max_saturation=60)
    assert found["a"].applied(spec) == TilingSpec(
        patch_size=99, slide_mpp=0.5, override_mpp=0.2525, min_tissue=0.6, tissue=tissue
    )
    assert found["b"].applied(spec) == found["c"].applied(spec) == spec


def test_bad_cells_are_reported_together(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text(
        "slide_id,process,close_um,min_value,min_tissue,slide_mpp,remove_pen\n"
        "a,maybe,wide,1.5,,,\n"
        'b,1,"0,5",,,,2\n'
        "a,1,,,,,\n"
        ",1,,,,,\n"
        "c,1,,,1.5,,\n"
        "d,1,-4,,,,\n"
        "e,1,,,,-1,\n"
        "f,1,8,40,0.5,0.25,1\n"
    )
    with pytest.raises(PathPluginsError) as error:
        read_process_list(path, TilingSpec())
    said = str(error.value)
    assert said.startswith(f"{path}: 10 bad cells")
    for words in (
        "row 2 (a), process: 'maybe', wanted 1 or 0",
        "row 2 (a), close_um: 'wide', wanted a number, with a point as in 0.25",
        "row 2 (a), min_value: '1.5', wanted a whole number",
        "row 3 (b), close_um: '0,5'",
        "row 3 (b), remove_pen: '2', wanted 1 or 0",
        "row 4, slide_id: 'a', wanted a name that is in no other row",
        "row 5, slide_id: ''",
        "row 6 (c): --min-tissue is a fraction in [0, 1], got 1.5",
        "row 7 (d): close_um is a size, 0 or more, got -4",
        "row 8 (e)",
    ):
        assert words in said, words
    assert "(f)" not in said


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no column slide_id"),
        ("slide_id;process\na;1\n", "separated by commas"),
        ("slide_id,min_tisue\na,0.5\n", "'min_tisue' is none of .* did you mean min_tissue"),
        ("slide_id,process,process\na,1,0\n", "each once"),
        ("slide_id,process\na,1,0\n", "row 2: more cells than the 2 columns"),
        (b"slide_id\n\xff\n", "UTF-8"),
    ],
)
def test_files_that_are_no_list(tmp_path: Path, text: str | bytes, message: str) -> None:
    path = tmp_path / "list.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(PathPluginsError, match=message) as error:
        read_process_list(path, TilingSpec())
    assert str(path) in str(error.value)


def test_the_list_of_a_work_folder(pathdata: Pathdata, slides_folder: Path, tmp_path: Path) -> None:
    """Run, edit, run again: a slide whose settings changed stops with --overwrite as the next step; others stay."""
    pytest.importorskip("openslide")
    path = tmp_path / "process_list.csv"
    command = ("patch", slides_folder, "--out", tmp_path, "--patch-size", 100)
    assert pathdata(*command)[0] == 0
    assert [row["slide_id"] for row in rows(path)] == ["a", "b"]
    edit(path, "a", process="0")
    code, said = pathdata(*command)
    assert code == 0
    assert "1 of 2 slides are left out" in said
    assert "a:" not in said
    edit(path, "a", process="1", min_tissue="0.9")
    code, said = pathdata(*command)
    assert code == 1
    assert "min_tissue 0.25; this run has min_tissue 0.9: pass --overwrite" in said
    before = len(read_coords(tmp_path / "coords" / "a.h5").coords_xy)
    (tmp_path / "coords" / "a.h5").unlink()
    assert pathdata(*command)[0] == 0
    assert len(read_coords(tmp_path / "coords" / "a.h5").coords_xy) < before
    edit(path, "b", process="nein")
    code, said = pathdata(*command)
    assert code == 2
    assert "row 3 (b), process: 'nein'" in said


def test_a_list_of_ones_own(pathdata: Pathdata, slides_folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("openslide")
    own, out = tmp_path / "own.csv", tmp_path / "out"
    own.write_text("slide_id,slide_mpp\nb,0.25\nlost,\n")
    command = ("patch", slides_folder, "--out", out, "--process-list", own)
    code, said = pathdata(*command)
    assert code == 0
    assert "1 of its slides are not among those given: lost" in said
    assert "1 of 2 slides are left out" in said
    assert [p.name for p in (out / "coords").iterdir()] == ["b.h5"]
    patches = read_coords(out / "coords" / "b.h5")
    assert (patches.level0_mpp, patches.patch_size_level0) == (0.25, 512)
    assert own.read_text() == "slide_id,slide_mpp\nb,0.25\nlost,\n"
    assert not (out / "process_list.csv").exists()
    own.write_text("slide_id,process\na,0\n")
    code, said = pathdata(*command)
    assert code == 2
    assert "leaves out all 2 slides" in said
    own.unlink()
    code, said = pathdata(*command)
    assert code == 2
    assert "own.csv: no such file" in said


def test_the_table_of_resolutions_and_the_list(pathdata: Pathdata, slides_folder: Path, tmp_path: Path) -> None:
    """A cell of the list wins."""
    pytest.importorskip("openslide")
    (tmp_path / "mpp.csv").write_text("slide_id,mpp\na,0.4\nb,0.25\n")
    (tmp_path / "own.csv").write_text("slide_id,slide_mpp\na,\nb,0.3\n")
    command = ("patch", slides_folder, "--out", tmp_path, "--mpp-csv", tmp_path / "mpp.csv", "--patch-size", 64)
    assert pathdata(*command, "--process-list", tmp_path / "own.csv")[0] == 0
    assert [read_coords(tmp_path / "coords" / f"{name}.h5").level0_mpp for name in "ab"] == [0.4, 0.3]


def test_a_dry_run_writes_nothing(slides_folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("openslide")
    from pathplugins.data_tools.commands.options import read_options
    from pathplugins.data_tools.commands.options.tiling import TilingOptions, add_tiling_options
    from pathplugins.data_tools.commands.patch import slide_jobs

    parser = argparse.ArgumentParser()
    add_tiling_options(parser)
    args = parser.parse_args([str(slides_folder), "--out", str(tmp_path / "out"), "--preset", "gigapath"])
    jobs = slide_jobs(read_options(args, TilingOptions), dry_run=True)
    assert [job.slide_id for job in jobs] == ["a", "b"]
    assert {job.tiling for job in jobs} == {TilingSpec(patch_size=256, mpp=0.5)}
    assert pickle.loads(pickle.dumps(jobs)) == jobs  # they go to other processes
    assert not (tmp_path / "out").exists()


def test_questions_are_written_and_taken_back_and_nothing_else_changes(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    record_questions(path, {"a": "question: ink"}, ["a"])
    assert not path.exists()
    path.write_text("slide_id,process,close_um\na,1,12.50\nb,0,\nc,1,\n")
    record_questions(path, {}, ["a", "b"])
    assert path.read_text().startswith("slide_id,process,close_um\n")
    record_questions(path, {"a": "question: ink, or stain", "c": "question: all"}, ["a", "b", "c"])
    assert [(row["close_um"], row["question"]) for row in rows(path)] == [
        ("12.50", "question: ink, or stain"),
        ("", ""),
        ("", "question: all"),
    ]
    record_questions(path, {}, ["a"])
    assert [row["question"] for row in rows(path)] == ["", "", "question: all"]
    assert read_process_list(path, TilingSpec())["a"].changes == {"close_um": 12.5}
