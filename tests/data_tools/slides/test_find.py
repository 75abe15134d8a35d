"""Slide files: given ones and those a data set names, at any depth, in any case, in gdc-client's folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from pathplugins.core.suffixes import slide_name
from pathplugins.data_tools.slides.find import find_slides, index_slides
from pathplugins.data_tools.slides.search import search
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


def test_a_folder_that_is_the_output_too_is_said(tmp_path: Path) -> None:
    put(tmp_path / "one.svs")
    with pytest.raises(SlideError, match=r"is the --out folder too.*pass another --out"):
        find_slides([tmp_path], outside=tmp_path)


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


def test_linked_folders_are_searched_by_both(tmp_path: Path) -> None:
    put(tmp_path / "archive" / "deep" / "b.svs")
    put(tmp_path / "slides" / "a.svs")
    (tmp_path / "slides" / "cohort").symlink_to("../archive")
    (tmp_path / "archive" / "back").symlink_to(tmp_path / "slides")
    found = find_slides([tmp_path / "slides"], outside=tmp_path / "out")
    assert sorted(slide.stem for slide in found) == ["a", "b"]
    assert sorted(index_slides([tmp_path / "slides"])) == ["a", "b"]


def test_a_slide_linked_under_one_name_twice_is_one_slide(tmp_path: Path) -> None:
    slide = put(tmp_path / "x.svs")
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "x.svs").symlink_to(slide)
    assert find_slides([tmp_path], outside=tmp_path / "out") == [tmp_path / "more" / "x.svs"]


@pytest.mark.parametrize(
    "beside",
    ["a_thumbnail.jpg", "a.png", "photo.jpeg", "masks/a.png", "a-mask.tif", "macro/a_macro.TIF", "a (label).jpg"],
)
def test_pictures_of_slides_are_left_out_and_counted(tmp_path: Path, beside: str) -> None:
    slide, picture = put(tmp_path / "a.svs"), put(tmp_path / beside)
    told: list[str] = []
    assert find_slides([tmp_path], outside=tmp_path / "out", tell=told.append) == [slide]
    assert len(told) == 1
    assert "left out 1 pictures" in told[0]
    assert f"({picture.name}); to use one, give it by name" in told[0]
    assert index_slides([tmp_path], tell=told.append) == {"a": slide}
    assert told[0] == told[1]
    assert find_slides([picture], outside=tmp_path / "out") == [picture]


def test_pictures_alone_are_slides_but_not_their_masks(tmp_path: Path) -> None:
    photo, other = put(tmp_path / "core1.png"), put(tmp_path / "core2_mask_of_years.png")
    put(tmp_path / "core1_mask.png")
    assert find_slides([tmp_path], outside=tmp_path / "out") == [photo, other]


def test_a_work_folder_that_is_given_has_no_slides_among_its_pictures(tmp_path: Path) -> None:
    for name in ("process_list.csv", "overlays/a.png", "patches/a/1.png", "a.svs"):
        put(tmp_path / name)
    found = search([tmp_path])
    assert found.slides == [tmp_path / "a.svs"]
    assert "left out 2 work folders of earlier runs (overlays, patches)" in found.text(tmp_path)
    (tmp_path / "a.svs").unlink()
    assert not search([tmp_path]).slides


def test_what_else_is_left_out_is_said_in_one_line(tmp_path: Path) -> None:
    slide = put(tmp_path / "a.svs")
    put(tmp_path / "old" / "process_list.csv")
    put(tmp_path / "old" / "overlays" / "z.png")
    for number in range(5):
        put(tmp_path / f"{number}.isyntax")
    (tmp_path / "lost.svs").symlink_to(tmp_path / "nowhere.svs")
    put(tmp_path / "m.mrxs")
    put(tmp_path / "m" / "Slidedat.ini")
    put(tmp_path / "m" / "Data.tif")
    told: list[str] = []
    assert find_slides([tmp_path], outside=tmp_path / "out", tell=told.append) == [slide, tmp_path / "m.mrxs"]
    (line,) = told
    for part in (
        "5 slides of formats that nothing here reads (0.isyntax, 1.isyntax, 2.isyntax, ...)",
        "1 links to nothing (lost.svs)",
        "1 work folders of earlier runs (old)",
    ):
        assert part in line
    assert find_slides([tmp_path / "m"], outside=tmp_path / "out") == [tmp_path / "m.mrxs"]
    (tmp_path / "none").mkdir()
    put(tmp_path / "none" / "x.vsi")
    with pytest.raises(SlideError, match="no slides in this folder"):
        find_slides([tmp_path / "none"], outside=tmp_path / "out", tell=told.append)
    assert "x.vsi" in told[-1]


def test_a_folder_of_zarr_is_one_slide(tmp_path: Path) -> None:
    put(tmp_path / "s.ome.zarr" / "zarr.json")
    put(tmp_path / "s.ome.zarr" / "0" / "tile.png")
    for given in (tmp_path, tmp_path / "s.ome.zarr"):
        assert find_slides([given], outside=tmp_path / "out") == [tmp_path / "s.ome.zarr"]


def test_dicom_series_are_slides_however_they_are_given(tmp_path: Path) -> None:
    pytest.importorskip("pydicom")
    pytest.importorskip("imagecodecs")
    from dicom_slides import write_series
    from slide_formats import half, picture

    pixels = picture((150, 110))
    for case in ("case.1", "case.2"):
        write_series(tmp_path / case, [half(pixels), pixels], mpp=0.5, name=case, label=True)
    both = tmp_path / "both"
    for case in ("x", "y"):
        write_series(both, [half(pixels), pixels], mpp=0.5, name=case)
    out = tmp_path / "out"
    found = find_slides([tmp_path], outside=out)
    assert found == [both / "x_1.dcm", both / "y_1.dcm", tmp_path / "case.1", tmp_path / "case.2"]
    assert [slide_name(path) for path in found] == ["x_1", "y_1", "case.1", "case.2"]
    assert find_slides([tmp_path / "case.1"], outside=out) == [tmp_path / "case.1"]
    assert find_slides(sorted((tmp_path / "case.1").glob("*.dcm")), outside=out) == [tmp_path / "case.1/case.1_1.dcm"]
    assert find_slides([both / "y_0.dcm"], outside=out) == [both / "y_1.dcm"]
    assert sorted(index_slides([tmp_path])) == ["case.1", "case.2", "x_1", "y_1"]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SlideError, match="nowhere: no such folder"):
        index_slides([tmp_path / "nowhere"])
