"""Boxes, fading and scale bars on pictures that are not square."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from pathplugins.data_tools.pictures.drawing import (
    FADE,
    INK,
    boxes_px,
    draw_scale_bar,
    fade_outside,
    scaled_size,
    with_caption,
)


def test_boxes_of_neighbours_touch_and_do_not_overlap() -> None:
    coords = np.array([[0, 0], [30, 0], [60, 20]])
    assert boxes_px(coords, 30, 0.5).tolist() == [[0, 0, 14, 14], [15, 0, 29, 14], [30, 10, 44, 24]]
    assert boxes_px(coords, 30, 0.01).tolist() == [[0, 0, 0, 0], [0, 0, 0, 0], [1, 0, 1, 0]]  # at least a pixel


def test_pixels_outside_the_boxes_fade_to_white() -> None:
    picture = Image.new("RGB", (61, 43), (100, 50, 0))
    faded = np.asarray(fade_outside(picture, np.array([[10, 5, 20, 9]])))  # borders included
    inside = np.zeros((43, 61), bool)
    inside[5:10, 10:21] = True
    assert (faded[inside] == (100, 50, 0)).all()
    wanted = np.array([100, 50, 0]) * (1 - FADE) + 255 * FADE
    assert (np.abs(faded[~inside] - wanted) <= 1).all()


@pytest.mark.parametrize(("px_per_um", "length_px"), [(0.1, 50), (0.03, 60), (0.001, 10)])
def test_the_bar_is_the_longest_of_a_round_length_that_fits(px_per_um: float, length_px: int) -> None:
    canvas = Image.new("RGB", (400, 41), "white")
    end = draw_scale_bar(ImageDraw.Draw(canvas), 7, 20, px_per_um=px_per_um, longest_px=70)
    dark = (np.asarray(canvas)[20] == INK).all(axis=-1)  # the text of a font is anti-aliased
    assert dark[7 : 7 + length_px + 1].all()
    assert not dark[:7].any()
    assert end > 7 + length_px


def test_no_bar_where_none_fits() -> None:
    canvas = Image.new("RGB", (100, 41), "white")
    assert draw_scale_bar(ImageDraw.Draw(canvas), 7, 20, px_per_um=10, longest_px=70) == 7
    assert (np.asarray(canvas) == 255).all()


def test_sizes_are_scaled_and_never_empty() -> None:
    assert scaled_size((1411, 1003), 0.5) == (706, 502)
    assert scaled_size((1411, 3), 0.01) == (14, 1)


@pytest.mark.parametrize("px_per_um", [None, 2.0])
def test_a_caption_stands_below_the_picture_and_is_cut_at_its_edge(px_per_um: float | None) -> None:
    picture = Image.new("RGB", (301, 97), (100, 50, 0))
    canvas = np.asarray(with_caption(picture, "W" * 80, px_per_um=px_per_um, strip_px=40))
    assert canvas.shape == (137, 301, 3)
    assert (canvas[:97] == (100, 50, 0)).all()
    ink = (canvas[97:] < 128).all(axis=2).any(axis=0)  # [w]
    assert ink.any()
    assert not ink[-12:].any()
    bar = (canvas[97:] == INK).all(axis=2).sum(axis=1).max()  # longest row of ink: only a bar is so long
    assert (bar >= 40) == (px_per_um is not None)
