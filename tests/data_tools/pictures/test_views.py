"""Views: a canvas around patches, and an image at a size on which its parts are seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pathplugins.data_tools.pictures.views import view_of, view_of_image


def test_a_canvas_has_a_margin_of_one_patch() -> None:
    coords = np.array([[1000, 3000], [1000 + 3 * 64, 3000 + 64]])
    view = view_of(None, coords, 64)
    assert view.origin_px0.tolist() == [936, 2936]
    assert (view.picture.size, view.scale) == ((6 * 64, 4 * 64), 1)
    assert np.asarray(view.picture).min() == 255


@pytest.mark.parametrize(
    ("size", "shown"), [((50, 17), (1024, 348)), ((1100, 300), (1100, 300)), ((301, 4096), (150, 2048))]
)
def test_an_image_is_shown_large_enough(size: tuple[int, int], shown: tuple[int, int], tmp_path: Path) -> None:
    Image.new("RGB", size, (200, 10, 90)).save(tmp_path / "x.png")
    view = view_of_image(tmp_path / "x.png")
    assert view.picture.size == shown
    assert view.scale == pytest.approx(shown[1] / size[1], rel=0.01)
    assert view.picture.getpixel((5, 5)) == (200, 10, 90)
