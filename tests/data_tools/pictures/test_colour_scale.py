"""Colours of scores rise evenly, and a few extreme scores do not take them all."""

import numpy as np
import pytest

from pathplugins.data_tools.pictures.colour_scale import FEW, VIRIDIS, colours_of, ends_of, levels_of, on_white


def test_levels_lie_between_the_ends() -> None:
    assert levels_of(np.array([3.0, -1.0, 1.0])).tolist() == [1.0, 0.0, 0.5]
    assert levels_of(np.full(7, 0.25)).tolist() == [0.5] * 7


@pytest.mark.parametrize(
    ("scores", "ends"),
    [
        ([*range(FEW - 1), 1e6], (1.0, 18.0)),  # FEW scores: one at either end is left out
        ([*range(FEW - 2), 1e6], (0.0, 1e6)),  # fewer: none is
        ([*range(300), 1e6], (4.0, 296.0)),
        ([0.0] * 30 + [9.0], (0.0, 9.0)),  # nearly all are the same
    ],
)
def test_ends(scores: list[float], ends: tuple[float, float]) -> None:
    shuffled = np.random.default_rng(0).permutation(np.array(scores, np.float64))
    assert ends_of(shuffled) == ends


def test_colours_are_viridis_and_get_brighter() -> None:
    assert np.array_equal(colours_of(np.linspace(0, 1, 10)), VIRIDIS)
    brightness = colours_of(np.linspace(0, 1, 50)) @ (0.299, 0.587, 0.114)
    assert (np.diff(brightness) > 0).all()


def test_over_white() -> None:
    assert on_white((0, 100, 255), 1).tolist() == [0, 100, 255]
    assert on_white((0, 100, 255), 0).tolist() == [255, 255, 255]
    assert on_white(np.array([[0, 100, 255]]), 0.5).tolist() == [[128, 178, 255]]
