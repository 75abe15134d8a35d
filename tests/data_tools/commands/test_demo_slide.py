"""``pathdata demo-slide``: a slide is not overwritten unasked."""

from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("openslide")

Pathdata = Callable[..., tuple[int, str]]


def test_demo_slide_is_not_overwritten_unasked(pathdata: Pathdata, tmp_path: Path) -> None:
    arguments = ("demo-slide", tmp_path / "d.svs", "--size", "400x300", "--kind", 2)
    assert pathdata(*arguments)[0] == 0
    first = (tmp_path / "d.svs").read_bytes()
    code, said = pathdata(*arguments, "--seed", 1)
    assert code == 2
    assert "--overwrite" in said
    assert pathdata(*arguments, "--seed", 1, "--overwrite")[0] == 0
    assert (tmp_path / "d.svs").read_bytes() != first
