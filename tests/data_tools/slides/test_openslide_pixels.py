"""Pixels read with OpenSlide are those of its Python package, on white, in several threads."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pathplugins.data_tools.slides.slide import Slide

openslide = pytest.importorskip("openslide")


@pytest.mark.parametrize("kept_px", [0, 2**20])
def test_pixels_through_openslide_are_those_of_its_package(
    slides_folder: Path, monkeypatch: pytest.MonkeyPatch, kept_px: int
) -> None:
    monkeypatch.setattr("pathplugins.data_tools.slides.openslide_pixels.KEPT_PX", kept_px)
    path = slides_folder / "a.svs"
    boxes = [(x, y, 60 + x % 97, 50 + y % 61) for y in range(0, 1003, 111) for x in range(0, 1411, 131)]
    with Slide(path, reader="openslide") as slide, openslide.OpenSlide(path) as other, ThreadPoolExecutor(4) as pool:
        read = list(pool.map(lambda box: slide.read(*box[:2], box[2:], box[2:]), boxes))
        for (x, y, w, h), pixels in zip(boxes, read, strict=True):
            region = other.read_region((x, y), 0, (w, h))
            white = Image.alpha_composite(Image.new("RGBA", region.size, "white"), region).convert("RGB")
            assert np.array_equal(pixels, np.asarray(white))
