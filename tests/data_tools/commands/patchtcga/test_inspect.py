"""``pathdata patchtcga inspect``: counts, notes, every fault, exit code."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import patch_folders as drawn
import pytest

from pathplugins.data_tools.cli import main


def test_a_whole_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = drawn.write_pcam200(tmp_path / "PCam200", cases=2, patches=1)
    assert main(["patchtcga", "inspect", str(root)]) == 0
    said = capsys.readouterr().out
    assert f"{root}: PCam200, patches of Camelyon16 slides" in said
    for line in ("kind: pcam200", "valid: 4 patches, 2 normal, 2 tumor", "slides: 6", "sizes: 40 x 40 (12)"):
        assert f"  {line}\n" in said
    assert said.endswith("nothing wrong found\n")


def test_all_faults_at_once_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = drawn.write_segpanda200(tmp_path / "segpanda200", cases=1, patches=3)
    case = next((root / "test").glob("*/*"))
    (case / "x.0_mask.png").unlink()
    (case / "x.1.png").write_bytes(b"broken")
    (root / "tset").mkdir()
    assert main(["patchtcga", "inspect", str(root), "--thorough", "--json"]) == 1
    told = capsys.readouterr()
    (report,) = json.loads(told.out)
    assert report["facts"]["train"] == {"patches": 3}
    assert report["facts"]["sizes"] == "40 x 40 (7)"
    for wanted in ("x.0.png: missing mask", "x.1.png is not an image", "tset: unknown folder: did you mean test?"):
        assert sum(wanted in wrong for wrong in report["wrong"]) == 1, wanted
    assert len(report["wrong"]) == 3
    assert "3 faults: correct these files" in told.err


def test_mistakes(tmp_path: Path, pathdata: Callable[..., tuple[int, str]]) -> None:
    code, said = pathdata("patchtcga", "inspect", tmp_path / "PTCGA200")
    assert code == 2
    assert "pathdata patchtcga inspect: error:" in said
    assert "no such folder" in said
    assert "--pictures must be 0 or more" in pathdata("patchtcga", "inspect", tmp_path, "--pictures", "-1")[1]
