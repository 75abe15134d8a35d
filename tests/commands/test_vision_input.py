"""Files that a model cannot read are refused before it is loaded."""

from __future__ import annotations

from pathlib import Path

import asked_about
import pytest

from pathplugins.commands.vision_input import check_vision_input
from pathplugins.core.errors import PathPluginsError
from pathplugins.models.custom_llava.input_files import misfit

files = asked_about.files  # the fixture


def test_what_fits_passes(files: Path) -> None:
    assert misfit(files / "bag.png", reads="bags", model="m") is None
    assert misfit(files / "patch.tif", reads="images", model="m") is None
    assert misfit(files / "empty.h5", reads="bags", model="m") is None  # the reader of bags says what is wrong with it
    check_vision_input(files / "bag.png", "--image", reads="bags", model="m")


def test_the_next_step_can_be_typed(files: Path) -> None:
    slide = files / "case.SVS"
    assert f"`pathdata run {slide} --out work --encoder NAME`" in str(misfit(slide, reads="bags", model="m"))
    assert "give work/bags/case.h5" in str(misfit(slide, reads="bags", model="m"))
    assert f"`pathdata patch {slide} --out work --save-patches png`" in str(misfit(slide, reads="images", model="m"))
    with pytest.raises(PathPluginsError, match=r"--image .*patc\.png: no such file; give an image file; did you mean"):
        check_vision_input(files / "patc.png", "--image", reads="images", model="m")
