from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pathplugins.data_tools.slides.resolution import resolve
from pathplugins.data_tools.slides.slide import Slide, SlideError
from pathplugins.data_tools.slides.svs_writer import write_svs

pytest.importorskip("openslide")


def image(path: Path, **save: object) -> Slide:
    Image.new("RGB", (61, 43), "white").save(path, **save)
    return Slide(path)


def test_recorded_by_the_scanner(sharp_slide: Path) -> None:
    with Slide(sharp_slide) as slide:
        resolution = resolve(slide, fallback_mpp=0.9)
    assert (resolution.mpp, resolution.source, resolution.magnification) == (0.25, "openslide.mpp-x", 40)
    assert resolution.note is None


def test_resolution_tag_of_a_plain_tiff(tmp_path: Path) -> None:
    slide = image(tmp_path / "i.tif", resolution_unit="cm", x_resolution=20000, y_resolution=20000)
    resolution = resolve(slide)
    assert resolution.mpp == pytest.approx(0.5, rel=1e-3)
    assert resolution.source in ("image dpi", "tiff.XResolution")
    assert resolution.magnification == pytest.approx(20, rel=1e-3)


@pytest.mark.parametrize("save", [{}, {"dpi": (96, 96)}])
def test_a_screen_resolution_is_none(tmp_path: Path, save: dict[str, object]) -> None:
    slide = image(tmp_path / "i.png", **save)
    with pytest.raises(SlideError, match=r"i\.png.*--slide-mpp"):
        resolve(slide)
    resolution = resolve(slide, fallback_mpp=0.25)
    assert (resolution.mpp, resolution.source, resolution.magnification) == (0.25, "--slide-mpp", 40)


def test_contradiction_is_reported_and_mpp_wins(tmp_path: Path) -> None:
    write_svs(tmp_path / "s.svs", [np.zeros((300, 260, 3), np.uint8)], mpp=0.2325, magnification=20)
    resolution = resolve(Slide(tmp_path / "s.svs"))
    assert resolution.mpp == 0.2325
    assert resolution.magnification == pytest.approx(43.01)
    assert "20x" in (resolution.note or "")
    assert "0.2325" in (resolution.note or "")


def test_an_override_wins_and_is_recorded(sharp_slide: Path) -> None:
    with Slide(sharp_slide) as slide:
        resolution = resolve(slide, fallback_mpp=0.9, override_mpp=0.5)
    assert (resolution.mpp, resolution.source, resolution.magnification) == (0.5, "given for the slide", 20)
    assert "40x" in (resolution.note or "")


def test_pixels_that_are_not_square_are_reported(tmp_path: Path) -> None:
    tifffile = pytest.importorskip("tifffile")

    def tiff(down_per_cm: float) -> Slide:
        path = tmp_path / f"{down_per_cm}.tif"
        resolution = {"resolution": (20000, down_per_cm), "resolutionunit": "CENTIMETER"}
        tifffile.imwrite(path, np.zeros((300, 260, 3), np.uint8), photometric="rgb", tile=(256, 256), **resolution)
        return Slide(path)

    resolution = resolve(tiff(18000))
    assert resolution.mpp == pytest.approx((0.5 + 0.5556) / 2, rel=1e-3)
    assert "0.5 um/px across but 0.555556 down" in (resolution.note or "")
    assert resolve(tiff(19900)).note is None
