"""MD5s: the lines of md5sum, of parts and of the whole."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.patchtcga.checksums import read_checksums, verify
from pathplugins.data_tools.patchtcga.parts import archive_of

A, B = (hashlib.md5(data).hexdigest() for data in (b"first", b"second"))
WHOLE = hashlib.md5(b"firstsecond").hexdigest()


@pytest.fixture
def parts(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / "x_p_aa", tmp_path / "x_p_ab"]
    for path, data in zip(paths, (b"first", b"second"), strict=True):
        path.write_bytes(data)
    return paths


def test_lines_of_all_kinds(tmp_path: Path) -> None:
    path = tmp_path / "checksums.txt"
    path.write_text(f"# made by hand\n{A}  x_p_aa\n\n{B.upper()} *some/folder/x p.ab\r\nMD5 (x.tar.gz) = {WHOLE}\n")
    assert read_checksums(path) == {"x_p_aa": A, "x p.ab": B, "x.tar.gz": WHOLE}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"{A}  a\nnothing", r"checksums.txt:2 is 'nothing'; expected `<32 hex"),
        (A, r"checksums.txt:1 is .*; expected"),
        (f"{A}  a\n{B}  a", r"checksums.txt:2 gives a a second MD5"),
    ],
)
def test_wrong_lines(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "checksums.txt").write_text(text)
    with pytest.raises(PathPluginsError, match=told):
        read_checksums(tmp_path / "checksums.txt")


@pytest.mark.parametrize("wanted", [{"x_p_aa": A, "x_p_ab": B}, {"X.tar.gz": WHOLE}, {"x.tar.gz": WHOLE, "x_p_aa": A}])
def test_parts_or_the_whole(parts: list[Path], wanted: dict[str, str]) -> None:
    read: list[int] = []
    assert verify(archive_of(parts), wanted, read.append) == [A, B]
    assert sum(read) == 11


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ({"x_p_aa": A, "x_p_ab": A}, rf"x_p_ab: its MD5 is {B}, wanted {A}; nothing was extracted: download it again"),
        ({"x.tar.gz": A}, rf"x in 2 parts: its MD5 is {WHOLE}, wanted {A}; nothing was extracted: one of them"),
        ({"x_p_aa": A}, r"no MD5 of x_p_ab nor of the whole archive; nothing was extracted: complete"),
        ({"x_p_aa": A, "x_p_ab": B, "x.tar.gz": A}, "x in 2 parts: its MD5"),
    ],
)
def test_wrong_and_missing_checksums(parts: list[Path], wanted: dict[str, str], told: str) -> None:
    with pytest.raises(PathPluginsError, match=told):
        verify(archive_of(parts), wanted)
