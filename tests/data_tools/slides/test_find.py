"""Finding the slides of a data set: any depth, any case, gdc-client's folders; what is missing is named once (P6)."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from pathplugins.data_tools.slides.find import index_slides, missing_slides
from pathplugins.data_tools.slides.slide import SlideError

NAME = "TCGA-22-5474-01Z-00-DX1.8736FB24-7E65-4ACB-9325-382D7F864F62"
KEY = NAME.casefold()
UUID = "734d4a72-94ad-4274-8f14-0a9abaee1b0d"


def put(path: Path, content: str = "slide") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


@pytest.mark.parametrize(
    "name", [f"{NAME}.svs", f"{UUID}/{NAME}.svs", f"a/b/c/{NAME.lower()}.SVS", f"{NAME}.TiFf", f"{NAME}.ndpi"]
)
def test_a_slide_is_found_wherever_and_however_it_is_spelled(tmp_path: Path, name: str) -> None:
    path = put(tmp_path / name)
    assert index_slides([tmp_path]) == {KEY: path}


def test_what_is_no_whole_slide_is_left_alone(tmp_path: Path) -> None:
    put(tmp_path / UUID / f"{NAME}.svs.partial")
    put(tmp_path / UUID / "logs" / f"{NAME}.svs.parcel")
    put(tmp_path / UUID / "logs" / "log.svs")
    put(tmp_path / ".cache" / f"{NAME}.svs")
    put(tmp_path / f".{NAME}.svs")
    put(tmp_path / UUID / "annotations.txt")
    (tmp_path / "lost.svs").symlink_to(tmp_path / "nowhere.svs")
    assert index_slides([tmp_path]) == {}


def test_two_files_of_one_slide_are_named_both_and_all_at_once(tmp_path: Path) -> None:
    for name in ("x", "y"):
        put(tmp_path / "a" / f"{name}.svs", "one")
        put(tmp_path / "b" / f"{name}.SVS", "another")
    with pytest.raises(SlideError) as error:
        index_slides([tmp_path])
    assert all(str(tmp_path / name) in str(error.value) for name in ("a/x.svs", "b/x.SVS", "a/y.svs", "b/y.SVS"))
    assert index_slides([tmp_path], wanted={"z"}) == {}  # nobody asked for these


def test_copies_of_equal_name_and_size_are_one_slide_and_that_is_said(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    first, second = put(tmp_path / "a" / "x.svs"), put(tmp_path / "b" / "x.svs", "other")
    assert index_slides([tmp_path]) == {"x": first}
    assert f"{second} has the name and size of {first}" in capfd.readouterr().err


def test_a_picture_yields_to_the_slide_it_shows(tmp_path: Path) -> None:
    put(tmp_path / "a" / "x.jpg", "short")
    put(tmp_path / "a" / "x.png")
    slide, picture = put(tmp_path / "b" / "x.svs"), put(tmp_path / "y.png")
    assert index_slides([tmp_path]) == {"x": slide, "y": picture}


def test_links_are_followed_and_loops_end(tmp_path: Path) -> None:
    slide = put(tmp_path / "far" / "x.svs")
    folder = tmp_path / "near"
    folder.mkdir()
    (folder / "far").symlink_to(tmp_path / "far")
    (folder / "loop").symlink_to(folder)
    (folder / "x.svs").symlink_to(slide)
    assert index_slides([folder]) == {"x": folder / "x.svs"}
    assert index_slides([folder, folder]) == {"x": folder / "x.svs"}


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SlideError, match="nowhere: no such folder"):
        index_slides([tmp_path / "nowhere"])


def test_missing_slides_are_named_once_with_their_patches(tmp_path: Path) -> None:
    patches = Counter({NAME: 3, NAME.lower(): 2, "there": 7, "z": 1, "a": 1})
    missing = missing_slides(patches, {"there"})
    assert missing.slides == {NAME: 5, "a": 1, "z": 1}
    text = missing.text("are not in slides/", tmp_path / "missing.tsv")
    assert text.splitlines() == [
        "3 of 4 slides are not in slides/ (7 of 14 patches):",
        f"  {NAME}: 5 patches",
        "  a: 1 patches",
        "  z: 1 patches",
        f"All of them: {tmp_path / 'missing.tsv'}",
    ]
    missing.write(tmp_path / "missing.tsv")
    assert (tmp_path / "missing.tsv").read_text() == f"wsi_id\tpatches\n{NAME}\t5\na\t1\nz\t1\n"


def test_many_missing_slides_are_all_in_the_file_and_none_leaves_no_file(tmp_path: Path) -> None:
    table = tmp_path / "missing.tsv"
    missing = missing_slides({f"s{number}": 2 for number in range(25)}, ())
    missing.write(table)
    assert missing.text("are nowhere").endswith("\n  ... and 5 more")
    assert len(table.read_text().splitlines()) == 26
    none = missing_slides({"s": 1}, {"s"})
    none.write(table)
    assert none.text("are nowhere") == ""
    assert not table.exists()
