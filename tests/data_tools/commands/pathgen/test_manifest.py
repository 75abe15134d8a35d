"""``pathdata pathgen manifest``: offline, and files that it must not replace; tests of sources/ ask a server."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

Pathdata = Callable[..., tuple[int, str]]
UUID = "00000000-0000-4000-8000-00000000000a"


def test_offline_slides_come_from_their_rows(pathdata: Pathdata, tmp_path: Path) -> None:
    rows = [{"wsi_id": "A", "position": [x, 3], "caption": "Cells.", "file_id": UUID} for x in (1, 2, 2)]
    (tmp_path / "in.json").write_text(json.dumps([*rows, {**rows[0], "wsi_id": "B", "file_id": ""}]))
    out = tmp_path / "manifest.txt"
    code, said = pathdata("pathgen", "manifest", tmp_path / "in.json", "--out", out, "--offline")
    assert code == 1  # B cannot be had
    assert "3 patches on 2 slides, 1 exact repeat left out" in said
    assert "--offline: md5 and size stay empty, so downloads cannot be verified" in said
    assert out.read_text().splitlines()[1].split("\t") == [UUID, "A.svs", "", "", ""]
    assert "B\t1" in out.with_name("manifest.txt.missing.tsv").read_text()


def test_a_manifest_without_slides_is_not_written_and_blocks_nothing(pathdata: Pathdata, tmp_path: Path) -> None:
    row = {"wsi_id": "A", "position": [1, 3], "caption": "Cells."}
    (tmp_path / "in.json").write_text(json.dumps([row]))
    out = tmp_path / "manifest.txt"
    code, said = pathdata("pathgen", "manifest", tmp_path / "in.json", "--out", out, "--offline")
    assert code == 1
    assert "manifest.txt was not written: no slide to download" in said
    assert "have no file_id" in said
    assert not out.exists()
    (tmp_path / "in.json").write_text(json.dumps([{**row, "file_id": UUID}]))
    code, said = pathdata("pathgen", "manifest", tmp_path / "in.json", "--out", out, "--offline")
    assert code == 0, said


def test_files_are_kept(pathdata: Pathdata, tmp_path: Path) -> None:
    (tmp_path / "in.json").write_text("[]")
    (tmp_path / "out.txt").write_text("mine")
    for out, message in (("in.json", "is the source itself; choose another name"), ("out.txt", "exists; pass")):
        code, said = pathdata("pathgen", "manifest", tmp_path / "in.json", "--out", tmp_path / out)
        assert (code, message in said) == (2, True), said
    assert (tmp_path / "out.txt").read_text() == "mine"
