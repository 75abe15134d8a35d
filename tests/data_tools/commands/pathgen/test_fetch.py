"""``pathdata pathgen fetch``: what stops it before the hub is asked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pathplugins.data_tools.cli import main

Pathdata = Callable[..., tuple[int, str]]


def test_terms_are_agreed_to_first(pathdata: Pathdata, tmp_path: Path) -> None:
    code, said = pathdata("pathgen", "fetch", "--out", tmp_path / "out", "--what", "clip-l")
    assert code == 2
    assert "PathGen-CLIP-L" in said
    assert "nothing was downloaded: pass --yes" in said
    assert not (tmp_path / "out").exists()


def test_a_near_name_is_suggested(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["pathgen", "fetch", "--out", "out", "--what", "caption"])
    assert "unknown value 'caption'. Did you mean captions?" in capfd.readouterr().err
