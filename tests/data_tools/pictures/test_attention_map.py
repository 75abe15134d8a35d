"""Attention maps: one colour a box, the greater weight above, all else faded."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from pathplugins.data_tools.pictures.attention_map import attention_picture
from pathplugins.data_tools.pictures.colour_scale import HEAT, VIRIDIS
from pathplugins.data_tools.pictures.views import View

VIEW = View(Image.new("RGB", (120, 70), "white"), np.array([100, 200]), 0.5)
WORDS = {"name": "attention", "text": "a test", "level0_mpp": 0.5}


def over_white(colour: np.ndarray) -> np.ndarray:
    return colour * HEAT + 255 * (1 - HEAT)


def test_boxes_of_any_shape_lie_where_they_should() -> None:
    boxes = np.array([[120.0, 220, 40, 20], [140, 220, 40, 60], [200, 300, 41, 20]])
    weights = np.array([0.5, 0.1, 0.9])
    pixels = np.asarray(attention_picture(VIEW, boxes=boxes, weights=weights, **WORDS)).astype(float)
    assert np.abs(pixels[15, 12] - over_white(np.array([33, 145, 140]))).max() < 8  # the middle of viridis
    assert np.array_equal(pixels[15, 25], pixels[15, 12])  # the greater weight, where two overlap
    assert np.abs(pixels[30, 35] - over_white(VIRIDIS[0])).max() <= 2
    assert np.abs(pixels[55, 55] - over_white(VIRIDIS[-1])).max() <= 2
    assert (pixels[10:20, 10:30] == pixels[15, 12]).all()
    assert (pixels[:10, :120] == 255).all()
    red = (np.abs(pixels - (220, 20, 30)).max(axis=-1) < 10).sum()
    assert red == 0  # nothing was kept or not kept here


@pytest.mark.parametrize("weights", [[], [0.1], [0.1, np.nan]])
def test_weights_that_do_not_fit_are_refused(weights: list[float]) -> None:
    boxes = np.zeros((len(weights) if len(weights) != 1 else 2, 4))
    with pytest.raises(ValueError, match="expected"):
        attention_picture(VIEW, boxes=boxes, weights=np.array(weights), **WORDS)
