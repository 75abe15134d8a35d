"""Slides that a command line names: lists, folders and ranges."""

from __future__ import annotations

from pathlib import Path

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.pathgen.select.slide_list import named_slides


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """``s0.svs`` to ``s3.svs``; nothing opens them."""
    (tmp_path / "slides").mkdir()
    for number in range(4):
        (tmp_path / "slides" / f"s{number}.svs").write_bytes(b"x")
    return tmp_path / "slides"


def names(folder: Path, *words: Path, slide_range: str | None = None) -> list[str]:
    return [path.stem for path in named_slides(words, slide_range, outside=folder / "out")]


def test_lists_and_folders(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "l.txt").write_text(f"\ufeff{folder / 's2.svs'}\n\n {folder / 's0.svs'} \n", encoding="utf-8")
    assert names(folder, tmp_path / "l.txt") == ["s2", "s0"]
    assert names(folder, folder) == ["s0", "s1", "s2", "s3"]


@pytest.mark.parametrize(
    ("slide_range", "wanted"), [("1:3", ["s1", "s2"]), (":1", ["s0"]), ("3:", ["s3"]), ("2:9", ["s2", "s3"])]
)
def test_ranges(folder: Path, slide_range: str, wanted: list[str]) -> None:
    assert names(folder, folder, slide_range=slide_range) == wanted


@pytest.mark.parametrize(
    ("slide_range", "message"),
    [
        ("3", "wanted A:B"),
        ("a:b", "wanted A:B"),
        ("-1:2", "wanted A:B"),
        ("4:5", "none of the 4 slides; choose from 0:4"),
    ],
)
def test_ranges_that_hold_nothing(folder: Path, slide_range: str, message: str) -> None:
    with pytest.raises(PathPluginsError, match=f"--range {slide_range}: .*{message}"):
        names(folder, folder, slide_range=slide_range)


def test_lists_that_cannot_be_used(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "l.txt").write_text(f"{folder / 's0.svs'}\nno/a.svs\nno/b.svs\n")
    with pytest.raises(PathPluginsError, match=r"2 of its 3 slides do not exist; .*\n  no/a\.svs\n  no/b\.svs"):
        names(folder, tmp_path / "l.txt")
    (tmp_path / "l.txt").write_text("\n")
    with pytest.raises(PathPluginsError, match="names no slides; write a path a line"):
        names(folder, tmp_path / "l.txt")
