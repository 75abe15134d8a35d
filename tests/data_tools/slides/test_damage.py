"""Files that are no whole slide are told by their first bytes and TIFF directories."""

import struct
from pathlib import Path

import pytest
from PIL import Image

from pathplugins.data_tools.slides.damage import damage
from pathplugins.data_tools.slides.slide import Slide, SlideError


def test_whole_files_are_not_complained_of(slides_folder: Path, tmp_path: Path) -> None:
    Image.new("RGB", (61, 43)).save(tmp_path / "flat.tif")
    Image.new("RGB", (61, 43)).save(tmp_path / "flat.png")
    for path in (slides_folder / "a.svs", tmp_path / "flat.tif", tmp_path / "flat.png"):
        assert damage(path) is None


@pytest.mark.parametrize("kept", [0.3, 0.97])
def test_a_slide_that_was_cut_off(slides_folder: Path, tmp_path: Path, kept: float) -> None:
    """Also in its last directory, where Pillow would take what is left of it for a plain image."""
    whole = (slides_folder / "a.svs").read_bytes()
    size = len(whole) - 40 if kept > 0.9 else int(kept * len(whole))
    (tmp_path / "cut.svs").write_bytes(whole[:size])
    pytest.importorskip("openslide")
    message = rf"cut\.svs: it was cut off after {size} bytes, before the end of its TIFF directory at byte \d+; copy or"
    with pytest.raises(SlideError, match=message):
        Slide(tmp_path / "cut.svs")


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
def test_directories_of_every_kind_of_tiff(tmp_path: Path, order: str, big: bool) -> None:
    mark = b"II" if order == "<" else b"MM"
    head = mark + struct.pack(order + "HHHQ", 43, 8, 0, 24) if big else mark + struct.pack(order + "HI", 42, 24)
    count, link = ("Q", "Q") if big else ("H", "I")
    directory = struct.pack(order + count, 2) + bytes(2 * (20 if big else 12)) + struct.pack(order + link, 0)
    content = head.ljust(24, b"\0") + directory
    (tmp_path / "whole.tif").write_bytes(content)
    assert damage(tmp_path / "whole.tif") is None
    for size in (len(content) - 1, 25, 16):
        (tmp_path / "cut.tif").write_bytes(content[:size])
        assert f"cut off after {size} bytes, before the end of its TIFF directory at byte 24" in damage(
            tmp_path / "cut.tif"
        )
    (tmp_path / "cut.tif").write_bytes(content[:6])
    assert "within its header" in damage(tmp_path / "cut.tif")


def test_a_chain_of_directories_that_runs_in_a_circle_ends(tmp_path: Path) -> None:
    path = tmp_path / "loop.tif"
    path.write_bytes(b"II" + struct.pack("<HIHI", 42, 8, 0, 8))
    assert damage(path) is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty; copy or download it again"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "a Git LFS pointer, .*: run `git lfs"),
        (b"\n<!DOCTYPE html><title>Sign in</title>", "it is a web page, not the slide"),
        (b"notes", r"neither OpenSlide \(no format that it recognises\) nor Pillow \(.*\) can read it"),
    ],
)
def test_what_is_no_slide_is_named_for_what_it_is(tmp_path: Path, content: bytes, message: str) -> None:
    pytest.importorskip("openslide")
    (tmp_path / "x.svs").write_bytes(content)
    with pytest.raises(SlideError, match=rf"x\.svs: .*{message}"):
        Slide(tmp_path / "x.svs")
