"""The overlay shows tissue, patches and a caption, in the frame of the slide."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pathplugins.data_tools.pictures.overlay import CAPTION_PX, GRID, LEFT_OUT, OUTLINE, draw_overlay
from pathplugins.data_tools.slides.slide import Slide

pytest.importorskip("openslide")


def overlay(path: Path, slide: Slide, mask: np.ndarray, **changes: object) -> np.ndarray:
    options = {"coords_xy": np.array([[300, 120]]), "patch_size_level0": 200, "level0_mpp": 0.5, "caption": "words"}
    draw_overlay(path, slide, mask, **{**options, **changes})
    return np.asarray(Image.open(path))


def test_patches_and_tissue_lie_where_they_are_on_the_slide(slides_folder: Path, tmp_path: Path) -> None:
    mask = np.zeros((100, 141), bool)
    mask[40:90, 20:60] = True
    with Slide(slides_folder / "a.svs") as slide:  # 1411 x 1003: drawn at full size
        picture = overlay(tmp_path / "o.png", slide, mask)
        pixels = slide.read(301, 121, (198, 198), (198, 198))
    assert picture.shape == (1003 + CAPTION_PX, 1411, 3)
    assert (picture[120, 300:500] == GRID).all()
    assert (picture[120:320, 499] == GRID).all()
    assert np.array_equal(picture[121:319, 301:499], pixels)
    ys, xs = np.nonzero((picture[:1003] == OUTLINE).all(axis=-1))
    assert [xs.min() // 10, xs.max() // 10, ys.min() // 10, ys.max() // 10] == pytest.approx([20, 60, 40, 90], abs=1)


def test_what_was_left_out_is_outlined_where_it_is(slides_folder: Path, tmp_path: Path) -> None:
    tissue, ink = np.zeros((100, 141), bool), np.zeros((100, 141), bool)
    tissue[40:90, 20:60], ink[10:30, 70:130] = True, True
    with Slide(slides_folder / "a.svs") as slide:
        picture = overlay(tmp_path / "o.png", slide, tissue, left_out=ink)
        plain = overlay(tmp_path / "p.png", slide, tissue, left_out=np.zeros_like(ink))
    ys, xs = np.nonzero((picture == LEFT_OUT).all(axis=-1))
    assert [xs.min() // 10, xs.max() // 10, ys.min() // 10, ys.max() // 10] == pytest.approx([70, 130, 10, 30], abs=1)
    assert not (plain == LEFT_OUT).all(axis=-1).any()


def test_a_caption_that_is_too_long_is_cut(slides_folder: Path, tmp_path: Path) -> None:
    mask = np.zeros((10, 14), bool)
    with Slide(slides_folder / "a.svs") as slide:
        strips = [
            overlay(tmp_path / f"{number}.png", slide, mask, caption="word " * number)[1003:] for number in (1, 50, 500)
        ]
    ink = [(strip.min(axis=-1) < 200).sum() for strip in strips]
    assert ink[0] < ink[1]
    assert np.array_equal(strips[1][:, :1000], strips[2][:, :1000])
    assert (strips[2][:, -12:] == 255).all()
