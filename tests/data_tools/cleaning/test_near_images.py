"""Planted copies are found in every orientation, and images that only look alike in style are not joined."""

from __future__ import annotations

import numpy as np
import pytest
from drawn_fields import copied, fields

from pathplugins.data_tools.cleaning import near_images
from pathplugins.data_tools.cleaning.near_images import ImageIndex
from pathplugins.data_tools.cleaning.pictures import _measured
from pathplugins.data_tools.cleaning.turned import SIDE


@pytest.fixture(scope="module")
def small() -> np.ndarray:
    """160 fields, then a copy of each, all orientations equally often."""
    rng, drawn = np.random.default_rng(1), fields(160, seed=2)
    copies = [copied(image, at % 8, rng) for at, image in enumerate(drawn)]
    return np.stack([_measured(image).small for image in [*drawn, *copies]])  # type: ignore[arg-type]


def test_copies_are_found_and_nothing_else(small: np.ndarray) -> None:
    found = {(min(pair), max(pair)) for pair in ImageIndex(small).find(small).tolist() if pair[0] != pair[1]}
    planted = {(at, at + 160) for at in range(160)}
    assert len(found & planted) >= 0.98 * 160
    assert len(found - planted) <= 0.001 * 160


def test_the_work_is_cut_into_blocks(small: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = ImageIndex(small).find(small[:30])
    monkeypatch.setattr(near_images, "_AT_ONCE", 7)
    assert ImageIndex(small).find(small[:30]).tolist() == whole.tolist()
    assert {*range(30)} <= {one for one, other in whole.tolist() if one == other}


def test_nothing_is_found_in_nothing(small: np.ndarray) -> None:
    none = np.zeros((0, SIDE, SIDE), np.uint8)
    assert ImageIndex(none).find(small[:2]).shape == (0, 2)
    assert ImageIndex(small[:2]).find(none).shape == (0, 2)
