"""Augmentation settings."""

from __future__ import annotations

import pytest

from pathplugins.classify.pictures.augment import EVAL, SELF_SUPERVISED, SUPERVISED, Augment
from pathplugins.core.errors import PathPluginsError


def test_the_presets_are_the_published_ones() -> None:
    assert (SUPERVISED.crop, SUPERVISED.crop_area, SUPERVISED.jitter, SUPERVISED.hue) == (
        "resized",
        (0.8, 1.0),
        0.8,
        0.1,
    )
    assert (SUPERVISED.grey, SELF_SUPERVISED.grey) == (0.0, 0.2)
    assert Augment() == EVAL


def test_a_recipe_says_what_differs() -> None:
    assert Augment.from_options({"crop": "resized", "crop_area": [0.2, 1.0]}).crop_area == (0.2, 1.0)
    with pytest.raises(PathPluginsError, match=r"unknown flip; known: .*flip_x"):
        Augment.from_options({"flip": 0.5})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"jitter": 1.5}, r"jitter must be in \[0, 1\], got 1.5"),
        ({"hue": 0.3}, r"hue must be in \[0, 0.1667\], got 0.3"),
        ({"crop_area": (0.5, 1.2)}, r"crop_area must be \(from, to\), 0 < from <= to <= 1"),
        ({"blur_sigma": (2.0, 1.0)}, "blur_sigma"),
        ({"crop": "random"}, "crop must be one of centre, resized, window, got 'random'"),
        ({"crop_area": 0.5}, "crop_area must be"),
    ],
)
def test_values_that_cannot_be_used_are_named(options: dict[str, object], said: str) -> None:
    with pytest.raises(PathPluginsError, match=said):
        Augment.from_options(options)
