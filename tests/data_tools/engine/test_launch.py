"""A run starts only if it can do its slides."""

from collections.abc import Callable
from pathlib import Path

import pytest
from slide_runs import SMALL

pytest.importorskip("openslide")
pytest.importorskip("timm")

Pathdata = Callable[..., tuple[int, str]]


def test_nothing_starts_without_weights(pathdata: Pathdata, many_slides: Path, tmp_path: Path) -> None:
    code, said = pathdata(
        "run", many_slides, "--out", tmp_path, "--encoder", "gigapath", "--workers", 2, "--device", "cpu"
    )
    assert code == 2
    assert "no weights given" in said
    assert not (tmp_path / "state").exists()
    code, said = pathdata("run", many_slides, "--out", tmp_path, *SMALL, "--workers", 0)
    assert code == 2
    assert "--workers must be at least 1, got 0" in said


def test_no_ray_cluster_at_an_address(pathdata: Pathdata, many_slides: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    code, said = pathdata("run", many_slides, "--out", tmp_path, *SMALL, "--engine", "ray", "--address", "auto")
    assert code == 2
    assert "no Ray cluster there" in said
