from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pathplugins.data_tools.slides.resolution import ContradictionError, resolve
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


def two_statements(path: Path, ome_mpp: float, tag_mpp: float) -> Slide:
    tifffile = pytest.importorskip("tifffile")
    physical = {"PhysicalSizeX": ome_mpp, "PhysicalSizeY": ome_mpp, "axes": "YXS"}
    tags = {"resolution": (1e4 / tag_mpp,) * 2, "resolutionunit": "CENTIMETER"}
    pixels = np.zeros((300, 260, 3), np.uint8)
    tifffile.imwrite(path, pixels, photometric="rgb", tile=(128, 128), ome=True, metadata=physical, **tags)
    return Slide(path)


def test_two_statements_far_apart_are_refused_until_one_is_chosen(tmp_path: Path) -> None:
    slide = two_statements(tmp_path / "s.tif", 0.25, 1.0)
    with pytest.raises(ContradictionError, match=r"s\.tif: records 0\.25 um/px \(OME-XML\) and 1 um/px .*--mpp"):
        resolve(slide)
    for given, wanted in ((0.25, 0.25), (1.02, 1.0)):
        resolution = resolve(slide, fallback_mpp=given)
        assert (resolution.mpp, resolution.source) == (pytest.approx(wanted), "--slide-mpp")
        assert "0.25 um/px (OME-XML) and 1 um/px" in (resolution.note or "")
    with pytest.raises(ContradictionError):
        resolve(slide, fallback_mpp=0.5)  # neither of them
    assert resolve(slide, override_mpp=0.5).mpp == 0.5


def test_two_statements_that_nearly_agree_are_noted(tmp_path: Path) -> None:
    resolution = resolve(two_statements(tmp_path / "s.tif", 0.2637, 0.25))
    assert (resolution.mpp, resolution.source) == (0.2637, "OME-XML")
    assert "0.2637 um/px (OME-XML) and 0.25 um/px" in (resolution.note or "")
    assert resolve(two_statements(tmp_path / "t.tif", 0.2512, 0.25)).note is None


def test_pixels_far_from_square_are_refused(tmp_path: Path) -> None:
    tifffile = pytest.importorskip("tifffile")
    options = {"resolution": (40000, 20000), "resolutionunit": "CENTIMETER", "tile": (128, 128)}
    tifffile.imwrite(tmp_path / "s.tif", np.zeros((300, 260, 3), np.uint8), photometric="rgb", **options)
    with pytest.raises(ContradictionError, match=r"0\.25 um across and 0\.5 down"):
        resolve(Slide(tmp_path / "s.tif"))
    assert resolve(Slide(tmp_path / "s.tif"), override_mpp=0.3).mpp == 0.3
