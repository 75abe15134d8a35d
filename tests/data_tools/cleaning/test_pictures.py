"""Measures of images, and the faults of those that cannot be used."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from drawn_fields import fields
from PIL import Image, ImageFilter

from pathplugins.data_tools.cleaning import pictures
from pathplugins.data_tools.cleaning.pictures import look
from pathplugins.data_tools.cleaning.turned import SIDE


def test_a_field_is_sharp_and_a_blurred_one_is_not(tmp_path: Path) -> None:
    (image,) = fields(1, seed=5)
    image.save(tmp_path / "sharp.png")
    image.filter(ImageFilter.GaussianBlur(9)).save(tmp_path / "blurred.png")
    Image.new("RGB", (150, 120), (240, 240, 240)).save(tmp_path / "flat.png")
    sharp, blurred, flat = (look(str(tmp_path / f"{name}.png")) for name in ("sharp", "blurred", "flat"))
    assert (sharp.fault, sharp.width, sharp.height) == ("", *image.size)
    assert sharp.small is not None
    assert sharp.small.shape == (SIDE, SIDE)
    assert sharp.gradient > 1.5 > 1 > blurred.gradient
    assert sharp.spread > 10
    assert (flat.spread, flat.gradient) == (0, 0)


def test_values_of_a_ramp(tmp_path: Path) -> None:
    ramp = np.repeat(np.arange(0, 200, 2, dtype=np.uint8)[None], 40, axis=0)  # [40, 100], steps of 2 across, none down
    Image.fromarray(ramp).save(tmp_path / "ramp.png")
    seen = look(str(tmp_path / "ramp.png"))
    assert (seen.width, seen.height) == (100, 40)
    assert seen.gradient == 1
    assert seen.spread == pytest.approx(ramp.std(), abs=0.01)


def test_faults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pathplugins.data.images._RETRY_WAITS_S", ())
    (image,) = fields(1, seed=6)
    image.save(tmp_path / "good.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "good.png").read_bytes()[:3000])
    (tmp_path / "text.png").write_text("no image")
    faults = {name: look(str(tmp_path / name)).fault for name in ("good.png", "cut.png", "text.png", "none.png")}
    assert faults == {
        "good.png": "",
        "cut.png": "unreadable file",
        "text.png": "not an image",
        "none.png": "missing file",
    }
    monkeypatch.setattr(pictures, "MAX_PIXELS", 1000)
    seen = look(str(tmp_path / "good.png"))
    assert (seen.fault, seen.small, seen.width) == ("too many pixels", None, image.size[0])
