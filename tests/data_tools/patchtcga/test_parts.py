"""Parts of an archive: order, gaps, and their bytes as one file."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.patchtcga.parts import Joined, archive_of


def touch(folder: Path, *names: str) -> list[Path]:
    for name in names:
        (folder / name).write_bytes(name.encode())
    return [folder / name for name in names]


@pytest.mark.parametrize(
    ("names", "order", "name"),
    [
        (["PTCGA200_p_ab", "PTCGA200_p_ac", "PTCGA200_p_aa"], [2, 0, 1], "PTCGA200"),
        (["X.tar.gz.10", *(f"X.tar.gz.{n}" for n in range(9, 0, -1))], [*range(9, 0, -1), 0], "X"),
        (["PCam200.tar.gz.part01", "PCam200.tar.gz.part00"], [1, 0], "PCam200"),
        (["SegPANDA200.TAR.GZ"], [0], "SegPANDA200"),
        (["a.b.zip"], [0], "a.b"),
    ],
)
def test_order(tmp_path: Path, names: list[str], order: list[int], name: str) -> None:
    archive = archive_of(touch(tmp_path, *names))
    assert [part.name for part in archive.parts] == [names[number] for number in order]
    assert archive.name == name
    assert archive.size == sum(map(len, names))


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["x_p_aa", "x_p_ac", "x_p_ae"], "between those given, 2 in number: x_p_ab, x_p_ad; download them"),
        (["x_p_ab"], "1 in number: x_p_aa; download them"),
        (["x_p_ay", "x_p_bb"], r"26 in number: .*x_p_aj and 16 more"),
        (["x.tar.003", "x.tar.005"], r"3 in number: x.tar.001, x.tar.002, x.tar.004;"),
        (["x_p_aa", "x_p_1"], r"has parts 1, aa, whose order is not certain"),
        (["x_p_aa", "y_p_ab"], r"parts of 2 archives: x_p_\*, y_p_\*; join one at a time"),
        (["x"], "is neither an archive"),
    ],
)
def test_gaps_and_strangers_are_named(tmp_path: Path, names: list[str], told: str) -> None:
    with pytest.raises(PathPluginsError, match=told):
        archive_of(touch(tmp_path, *names))


def test_a_part_twice_and_one_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    with pytest.raises(PathPluginsError, match="are the same part"):
        archive_of([*touch(tmp_path, "x_p_aa"), *touch(tmp_path / "copy", "x_p_aa")])
    with pytest.raises(PathPluginsError, match=r"x_p_ab: no such file; give the archive, or all of its parts"):
        archive_of([tmp_path / "x_p_ab"])


def test_the_bytes_of_all_parts_are_one_file(tmp_path: Path) -> None:
    parts = []
    for number, data in enumerate((b"abc", b"", b"defgh", b"i")):
        parts.append(tmp_path / str(number))
        parts[-1].write_bytes(data)
    told: list[int] = []
    with io.BufferedReader(Joined(parts, told.append), 2) as file:
        assert file.read() == b"abcdefghi"
        assert (file.seek(2), file.read(2)) == (2, b"cd")
        assert (file.seek(-2, io.SEEK_END), file.read()) == (7, b"hi")
        assert file.read() == b""
    assert max(told) == 9
