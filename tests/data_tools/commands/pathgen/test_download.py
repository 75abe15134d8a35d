"""``pathdata pathgen download``: what stops it before the GDC is asked; tests of sources/ run it on a server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

Pathdata = Callable[..., tuple[int, str]]
MANIFEST = "id\tfilename\tmd5\tsize\tstate\n00000000-0000-4000-8000-00000000000A\ta.svs\t\t3\treleased\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--workers", 0), "--workers must be at least 1, got 0"),
        ((), "nothing was downloaded: pass --yes"),
    ],
)
def test_what_cannot_start(pathdata: Pathdata, tmp_path: Path, words: tuple[object, ...], message: str) -> None:
    (tmp_path / "m.txt").write_text(MANIFEST)
    code, said = pathdata("pathgen", "download", tmp_path / "m.txt", "--out", tmp_path / "out", *words)
    assert (code, message in said) == (2, True), said
    assert not (tmp_path / "out").exists()


def test_complete_files_need_no_download(pathdata: Pathdata, tmp_path: Path) -> None:
    (tmp_path / "m.txt").write_text(MANIFEST)
    place = tmp_path / "out" / "00000000-0000-4000-8000-00000000000a"
    place.mkdir(parents=True)
    (place / "a.svs").write_bytes(b"abc")
    code, said = pathdata("pathgen", "download", tmp_path / "m.txt", "--out", tmp_path / "out")
    assert (code, "nothing is left to download" in said) == (0, True), said
