"""A run that lacks a package stops before its first slide."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Pathdata = Callable[..., tuple[int, str]]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_missing_package_stops_a_run_once_before_its_first_slide(
    pathdata: Pathdata, slides_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    hidden = tmp_path / "hidden" / "openslide"
    hidden.mkdir(parents=True)
    (hidden / "__init__.py").write_text("raise ImportError('hidden from this test')\n")
    monkeypatch.syspath_prepend(str(hidden.parent))  # workers inherit the path
    monkeypatch.delitem(sys.modules, "openslide", raising=False)
    code, said = pathdata("patch", slides_folder, "--out", tmp_path / "out", "--workers", workers)
    assert code == 2
    assert "error: needed and does not import: openslide (hidden from this test); install: pip install " in said
    assert len(said.splitlines()) == 1
    assert not (tmp_path / "out" / "state").exists()
