"""``pathdata pathgen extract``: what is said of options that cannot be used; tests of pairs/ run it on slides."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

Pathdata = Callable[..., tuple[int, str]]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "PathGen.json"
    path.write_text(json.dumps([{"wsi_id": "A", "position": ["3", "5"], "caption": "Glands."}]))
    return path


def test_no_slide_below_the_folder(pathdata: Pathdata, source: Path, tmp_path: Path) -> None:
    (tmp_path / "slides").mkdir()
    code, said = pathdata("pathgen", "extract", source, "--slides", tmp_path / "slides", "--out", tmp_path / "out")
    assert code == 2
    assert f"none of the 1 slides of {source} is below --slides {tmp_path / 'slides'}; name their folder" in said


def test_a_dry_run_leaves_nothing(pathdata: Pathdata, source: Path, tmp_path: Path) -> None:
    (tmp_path / "slides").mkdir()
    (tmp_path / "slides" / "A.svs").write_bytes(b"not opened")
    words = ("--slides", tmp_path / "slides", "--out", tmp_path / "out", "--dry-run")
    code, said = pathdata("pathgen", "extract", source, *words)
    assert (code, "A: to do" in said, (tmp_path / "out").exists()) == (0, True, False)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--size", 0), "--size must be at least 1 pixel, got 0; 672 is the published size"),
        (("--quality", 101), "--quality must be 1 to 100, got 101; 90 is usual"),
        (("--slide-mpp", -1), "--slide-mpp must be microns per pixel above 0 (e.g. 0.5), got -1"),
        (("--workers", 0), "--workers must be at least 1, got 0"),
    ],
)
def test_numbers_out_of_range(
    pathdata: Pathdata, source: Path, tmp_path: Path, words: tuple[object, ...], message: str
) -> None:
    code, said = pathdata("pathgen", "extract", source, "--slides", tmp_path, "--out", tmp_path / "out", *words)
    assert (code, message in said) == (2, True), said
    assert not (tmp_path / "out").exists()
