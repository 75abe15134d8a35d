"""Slide files: given ones and those a data set names, at any depth, in any case, in gdc-client's folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from pathplugins.data_tools.slides.find import find_slides, index_slides
from pathplugins.data_tools.slides.slide import SlideError

NAME = "TCGA-22-5474-01Z-00-DX1.8736FB24-7E65-4ACB-9325-382D7F864F62"
KEY = NAME.casefold()
UUID = "734d4a72-94ad-4274-8f14-0a9abaee1b0d"


def put(path: Path, content: str = "slide") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def test_folders_are_searched_but_not_the_output(tmp_path: Path) -> None:
    for name in ("deep/er/one.SVS", "two.png", "notes.txt", "out/overlays/one.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = find_slides([tmp_path, tmp_path / "two.png"], outside=tmp_path / "out")
    assert [p.name for p in found] == ["one.SVS", "two.png"]


def test_two_slides_of_one_name_are_both_named(tmp_path: Path) -> None:
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "same.svs").touch()
    with pytest.raises(SlideError, match=r"x.same\.svs.*y.same\.svs"):
        find_slides([tmp_path / "x" / "same.svs", tmp_path / "y"], outside=tmp_path / "out")
    (tmp_path / "z").mkdir()
    with pytest.raises(SlideError, match="no slides"):
        find_slides([tmp_path / "z"], outside=tmp_path)


@pytest.mark.parametrize(
    ("given", "instead"),
    [
        ("slidez", r"slidez: no such file or folder; did you mean .*slides\?"),
        ("slidez/deep/x.svs", r"no such file or folder; did you mean .*slides\?"),
        ("nowhere.svs", r"nowhere\.svs: no such file or folder; .* holds slides"),
    ],
)
def test_a_path_that_does_not_exist_is_answered_with_what_to_give(tmp_path: Path, given: str, instead: str) -> None:
    (tmp_path / "slides").mkdir()
    with pytest.raises(SlideError, match=instead):
        find_slides([tmp_path / given], outside=tmp_path)
    for number in range(9):
        (tmp_path / f"{number}").mkdir()
    with pytest.raises(SlideError, match=r"zzz: no such file or folder; give slide files, or folders that hold slides"):
        find_slides([tmp_path / "zzz"], outside=tmp_path)


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
    tmp_path: Path,
) -> None:
    first, second = put(tmp_path / "a" / "x.svs"), put(tmp_path / "b" / "x.svs", "other")
    told: list[str] = []
    assert index_slides([tmp_path], tell=told.append) == {"x": first}
    assert told == [f"{second} has the name and size of {first}, which is used"]


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
