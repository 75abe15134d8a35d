"""Every place where a slide file can state its resolution."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pathplugins.data_tools.slides.recorded_mpp import positive_number, stated_mpp
from pathplugins.data_tools.slides.slide import Slide
from pathplugins.data_tools.slides.svs_writer import write_svs

pytest.importorskip("openslide")
tifffile = pytest.importorskip("tifffile")

PIXELS = np.zeros((301, 263, 3), np.uint8)


def stated(path: Path) -> list[tuple[float, float, str]]:
    with Slide(path) as slide:
        return [(round(across, 6), round(down, 6), source) for across, down, source in stated_mpp(slide)]


def ome(path: Path, *, tile: tuple[int, int] | None, **metadata: Any) -> Path:
    tifffile.imwrite(path, PIXELS, photometric="rgb", ome=True, tile=tile, metadata={"axes": "YXS", **metadata})
    return path


@pytest.mark.parametrize("tile", [(128, 128), None], ids=["tiled", "plain"])
@pytest.mark.parametrize(("unit", "size"), [("\u00b5m", 0.25), ("nm", 250), ("mm", 0.00025), ("cm", 0.000025)])
def test_ome_xml_in_every_unit(tmp_path: Path, tile: tuple[int, int] | None, unit: str, size: float) -> None:
    units = {"PhysicalSizeXUnit": unit, "PhysicalSizeYUnit": "um"}
    path = ome(tmp_path / "s.ome.tif", tile=tile, PhysicalSizeX=size, PhysicalSizeY=0.26, **units)
    assert stated(path) == [(0.25, 0.26, "OME-XML")]


def test_ome_sizes_without_a_length_are_none(tmp_path: Path) -> None:
    units = {"PhysicalSizeXUnit": "pixel", "PhysicalSizeYUnit": "pixel"}
    assert stated(ome(tmp_path / "s.tif", tile=(128, 128), PhysicalSizeX=1, PhysicalSizeY=1, **units)) == []
    assert stated(ome(tmp_path / "t.tif", tile=(128, 128))) == []


def test_the_image_of_the_slides_size_speaks(tmp_path: Path) -> None:
    """A thumbnail may come first in the XML."""
    image = '<Image ID="Image:{0}"><Pixels ID="P:{0}" SizeX="{1}" SizeY="{2}" PhysicalSizeX="{3}"/></Image>'
    images = image.format(0, 26, 30, 5.0) + image.format(1, 263, 301, 0.5)
    options = {"photometric": "rgb", "tile": (128, 128), "metadata": None}
    tifffile.imwrite(tmp_path / "s.tif", PIXELS, description=f"<?xml version='1.0'?><OME>{images}</OME>", **options)
    assert stated(tmp_path / "s.tif") == [(0.5, 0.5, "OME-XML")]


def test_one_number_in_two_places_is_one_statement(tmp_path: Path) -> None:
    write_svs(tmp_path / "s.svs", [PIXELS], mpp=0.2325, magnification=40)
    assert stated(tmp_path / "s.svs") == [(0.2325, 0.2325, "openslide.mpp-x")]
    options = {"photometric": "rgb", "tile": (128, 128), "metadata": None, "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(tmp_path / "t.tif", PIXELS, resolution=(20000, 20000), **options)
    assert [row[:2] for row in stated(tmp_path / "t.tif")] == [(0.5, 0.5)]


def test_imagej_counts_in_the_unit_it_names(tmp_path: Path) -> None:
    options = {"photometric": "rgb", "tile": (128, 128), "metadata": None, "resolutionunit": "NONE"}
    for unit, wanted in (("um", [(0.25, 0.25, "ImageJ")]), ("inch", [])):
        text = f"ImageJ=1.54f\nimages=1\nunit={unit}\n"
        tifffile.imwrite(tmp_path / "s.tif", PIXELS, resolution=(4, 4), description=text, **options)
        assert stated(tmp_path / "s.tif") == wanted


@pytest.mark.parametrize(("text", "value"), [("0,25", 0.25), ("0", None), ("", None), ("inf", None), ("x", None)])
def test_numbers_as_scanners_write_them(text: str, value: float | None) -> None:
    assert positive_number(text) == value
