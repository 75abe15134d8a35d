"""``pathdata status``, the JSON summary and the dry run tell the same of a work folder."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from slide_runs import SMALL

from pathplugins.data.bags import check_bag

pytest.importorskip("openslide")
pytest.importorskip("timm")

Pathdata = Callable[..., tuple[int, str]]


def test_status_json_and_dry_run(
    pathdata: Pathdata, many_slides: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from pathplugins.data_tools.cli import main

    mixed, work = tmp_path / "slides", tmp_path / "work"
    mixed.mkdir()
    whole = (many_slides / "s0.svs").read_bytes()
    (mixed / "cut.svs").write_bytes(whole[: len(whole) // 3])
    (mixed / "good.svs").symlink_to(many_slides / "s1.svs")
    words = ["run", mixed, "--out", work, *SMALL]
    code, said = pathdata(*words, "--dry-run")
    assert code == 0
    assert "cut: to do\ngood: to do\n2 of 2 slides would be done; nothing was written" in said
    assert not (work / "state").exists()
    capfd.readouterr()
    assert main([*map(str, words), "--json"]) == 1
    summary = json.loads(capfd.readouterr().out)
    assert (summary["done"], summary["skipped"], list(summary["failed"])) == (1, 0, ["cut"])
    assert main(["status", str(work), "--json"]) == 1
    (status,) = json.loads(capfd.readouterr().out)
    rows = check_bag(work / "bags" / "good.h5").rows
    assert (status["command"], status["slides"], status["done"], status["left"]) == ("run", 2, 1, 0)
    assert status["patches"] == rows
    assert status["patches_per_second"] > 0
    assert "cut.svs" in status["failed"]["cut"]
    assert main(["status", str(work)]) == 1
    assert "run: 1 of 2 slides done, 1 failed, 0 left" in capfd.readouterr().out
    assert (work / "errors" / "cut.txt").read_text().startswith("Traceback")
    code, said = pathdata(*words, "--dry-run")
    assert "good: done" in said
    assert "cut: failed before: " in said
    (mixed / "cut.svs").unlink()
    (mixed / "cut.svs").symlink_to(many_slides / "s0.svs")
    assert pathdata(*words)[0] == 0
    assert pathdata("status", work)[0] == 0
    code, said = pathdata("status", tmp_path)
    assert code == 2
    assert "nothing was started here" in said
