"""``pathdata crop``."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable
from pathlib import Path

from drawn_patches import draw_patches
from PIL import Image

Pathdata = Callable[..., tuple[int, str]]


def test_crop(pathdata: Pathdata, tmp_path: Path) -> None:
    patches = draw_patches(tmp_path / "in", 3, masks=True)
    command = ("crop", tmp_path / "in", "--from-mpp", 0.39, "--to-mpp", 0.5, "--size", 56, "--out", tmp_path / "out")
    code, said = pathdata(*command)
    assert code == 0, said
    assert "out: 6 files, 72 px at 0.39 um/px -> 56 px at 0.5 um/px; 3 masks among them" in said
    assert Image.open(tmp_path / "out" / patches.names[0]).size == (56, 56)
    code, said = pathdata(*command)
    assert "0 files" in said
    assert "6 exist already" in said
    Image.open(tmp_path / "in" / patches.names[1]).rotate(90).save(tmp_path / "in" / patches.names[0])
    code, said = pathdata(*command)
    assert "1 file," in said
    assert "5 exist already; 1 cut again: other pictures have their names now" in said
    code, said = pathdata(*command, "--to-mpp", 0.4)
    assert code == 2
    assert "to_mpp 0.5; this run has to_mpp 0.4: pass --overwrite to redo it" in said
    code, said = pathdata(*command, "--to-mpp", 0.4, "--overwrite", "--workers", 1)
    assert code == 0, said
    (tmp_path / "in" / patches.names[0]).write_bytes((tmp_path / "in" / patches.names[0]).read_bytes()[:900])
    code, said = pathdata(*command, "--overwrite")
    assert code == 1
    assert f"{patches.names[0]}: unreadable file" in said


def test_json_and_wrong_options(pathdata: Pathdata, tmp_path: Path) -> None:
    draw_patches(tmp_path / "in", 2)
    command = ("crop", tmp_path / "in", "--from-mpp", 0.39, "--to-mpp", 0.5, "--size", 56, "--out", tmp_path / "out")
    assert pathdata(*command, "--workers", 0)[0] == 2
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        assert pathdata(*command, "--json")[0] == 0
    assert json.loads(printed.getvalue()) == {
        "files": 2,
        "masks": 0,
        "failed": 0,
        "skipped": 0,
        "others": 0,
        "changed": 0,
        "cut_px": 72,
    }
