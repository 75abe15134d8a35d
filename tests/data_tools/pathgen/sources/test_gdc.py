"""GDC manifests: read, written, and every row that cannot be used in one report."""

from __future__ import annotations

from pathlib import Path

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.pathgen.sources.gdc import GdcFile, is_uuid, read_manifest, write_manifest

A, B = "00000000-0000-4000-8000-00000000000a", "00000000-0000-4000-8000-00000000000b"
MD5 = "0123456789abcdef0123456789abcdef"


def test_there_and_back(tmp_path: Path) -> None:
    files = [GdcFile(A, "a.svs", MD5, 12, "released"), GdcFile(B, "b.svs")]
    write_manifest(tmp_path / "m.txt", files)
    assert (tmp_path / "m.txt").read_text().splitlines()[0] == "id\tfilename\tmd5\tsize\tstate"
    assert read_manifest(tmp_path / "m.txt") == files


def test_manifests_of_the_portal(tmp_path: Path) -> None:
    """More columns, capitals, a file twice."""
    lines = [f'{A.upper()}\tTCGA\t"a".svs\t{MD5.upper()}\t3'] * 2
    (tmp_path / "m.txt").write_text("\n".join(["id\tproject\tfilename\tmd5\tsize", *lines]))
    assert read_manifest(tmp_path / "m.txt") == [GdcFile(A, '"a".svs', MD5, 3)]


def test_wrong_rows_come_together(tmp_path: Path) -> None:
    rows = [
        f"{A[:-1]}\ta.svs\t\t",
        f"{A}\t../a.svs\t\t",
        f"{A}\ta.svs\tabc\t",
        f"{A}\ta.svs\t\t1.5",
        f"{B}\tb.svs\t\t7",
    ]
    (tmp_path / "m.txt").write_text("\n".join(["id\tfilename\tmd5\tsize", *rows]))
    with pytest.raises(PathPluginsError) as error:
        read_manifest(tmp_path / "m.txt")
    text = str(error.value)
    assert "4 rows cannot be used" in text
    for line, part in ((2, "expected a UUID"), (3, "without folders"), (4, "32 hexadecimal"), (5, "number of bytes")):
        assert f"m.txt:{line}: " in text
        assert part in text


def test_what_is_no_manifest(tmp_path: Path) -> None:
    (tmp_path / "m.txt").write_text("a,b\n1,2\n")
    with pytest.raises(PathPluginsError, match=r"has the columns a,b; expected id, filename.*pathgen manifest"):
        read_manifest(tmp_path / "m.txt")


def test_uuids() -> None:
    assert is_uuid(A)
    assert is_uuid(A.upper())
    assert not is_uuid(f"{A}0")
