"""``pathdata convert features``: the geometry in its options."""

from __future__ import annotations

from pathlib import Path

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.bags import Geometry
from pathplugins.data_tools.cli import main
from pathplugins.data_tools.commands.convert_features import FeatureFileOptions


def options(**more: object) -> FeatureFileOptions:
    return FeatureFileOptions(source=Path("in"), out=Path("out"), **more)  # type: ignore[arg-type]


def test_geometry_of_the_options() -> None:
    assert options().geometry() == Geometry()
    found = options(encoder="uni", patch_size=256, mpp=0.5, slide_size=(4003, 2001)).geometry()
    assert found == Geometry(encoder="uni", patch_size=256, mpp=0.5, level0_width=4003, level0_height=2001)


@pytest.mark.parametrize(
    ("name", "value", "option"),
    [
        ("mpp", 0.0, "--mpp"),
        ("level0_mpp", float("nan"), "--level0-mpp"),
        ("patch_size", -1, "--patch-size"),
        ("slide_size", (5, 0), "--slide-size"),
    ],
)
def test_numbers_must_be_above_zero(name: str, value: object, option: str) -> None:
    with pytest.raises(PathPluginsError, match=f"{option} must be above 0, got .*leave it out"):
        options(**{name: value}).geometry()


def test_a_near_name_is_suggested(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["convert", "features", "in", "--out", "out", "--from", "tridnet"])
    assert "unknown value 'tridnet'. Did you mean trident?" in capfd.readouterr().err


def test_a_wrong_source(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", "features", str(tmp_path / "nowhere"), "--out", str(tmp_path / "out")]) == 2
    assert "nowhere: no such file or folder; give a folder of features" in capfd.readouterr().err
