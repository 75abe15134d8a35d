"""``pathdata pathgen select``: what stops it before a model is loaded; tests of select/ run it on slides."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("yaml")

from pathplugins.data_tools.cli import main

Pathdata = Callable[..., tuple[int, str]]


@pytest.fixture
def slides(tmp_path: Path) -> Path:
    """Two names; nothing opens them."""
    (tmp_path / "slides").mkdir()
    for name in ("TCGA-A1-0001-01Z", "mine"):
        (tmp_path / "slides" / f"{name}.svs").write_bytes(b"x")
    return tmp_path / "slides"


def test_prompts_are_printed(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["pathgen", "select", "--print-prompts"])
    assert "TCGA-BRCA:\n  - " in capfd.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "the project of 1 of 2 slides is unknown"),
        (("--range", "2:3"), "--range 2:3: holds none of the 2 slides; choose from 0:2"),
        (("--mask-class", "tumour"), "--mask-class tumour is a class of a GeoJSON"),
        (("--batch-size", 0, "--project", "TCGA-OV"), "--batch-size must be at least 1"),
        (("--project", "TCGA-XX"), "2 of 2 slides have a project without prompts"),
    ],
)
def test_what_cannot_start(
    pathdata: Pathdata, slides: Path, tmp_path: Path, words: tuple[object, ...], message: str
) -> None:
    code, said = pathdata("pathgen", "select", slides, "--out", tmp_path / "out", "--clip", tmp_path, *words)
    assert (code, message in said) == (2, True), said
    assert not (tmp_path / "out").exists()


def test_a_dry_run_loads_no_model(pathdata: Pathdata, slides: Path, tmp_path: Path) -> None:
    words = ("--clip", tmp_path / "no model", "--project", "TCGA-OV", "--dry-run", "--range", "0:1")
    code, said = pathdata("pathgen", "select", slides, "--out", tmp_path / "out", *words)
    assert (code, "1 of 1 slides would be done" in said) == (0, True), said
