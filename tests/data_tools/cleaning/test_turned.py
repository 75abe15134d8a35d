"""Waves and hashes of turned and cropped images against those of images turned and cropped as pixels."""

from __future__ import annotations

import numpy as np
import pytest
from drawn_fields import field
from PIL import Image

from pathplugins.data_tools.cleaning.turned import CROPS, LOW, ORIENTATIONS, SIDE, hashes, likeness, turned, waves


def drawn(count: int = 3) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (count, SIDE, SIDE), np.uint8)


def test_waves_are_the_cosine_transform() -> None:
    small, axis = drawn(1), np.arange(SIDE)
    u, v = 3, 11
    by_hand = sum(
        float(small[0, y, x]) * np.cos(np.pi * u * (2 * y + 1) / 64) * np.cos(np.pi * v * (2 * x + 1) / 64)
        for y in axis
        for x in axis
    )
    assert waves(small).shape == (1, LOW, LOW)
    assert waves(small)[0, u, v] == pytest.approx(by_hand, rel=1e-4)


@pytest.mark.parametrize("orientation", range(ORIENTATIONS))
def test_turned_waves_are_those_of_turned_images(orientation: int) -> None:
    small = drawn()
    pixels = np.swapaxes(small, 1, 2) if orientation & 4 else small
    pixels = pixels[:, :, ::-1] if orientation & 1 else pixels
    pixels = pixels[:, ::-1] if orientation & 2 else pixels
    np.testing.assert_allclose(turned(waves(small), orientation), waves(pixels), atol=0.05)
    assert (hashes(turned(waves(small), orientation)) == hashes(waves(pixels))).all()


def test_the_eight_orientations_differ() -> None:
    assert len({int(hashes(turned(waves(drawn(1)), orientation))[0]) for orientation in range(ORIENTATIONS)}) == 8


def test_a_crop_is_that_of_the_large_image() -> None:
    large = field(np.random.default_rng(4), (640, 640)).convert("L")

    def shrunk(image: Image.Image) -> np.ndarray:
        return np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BOX))[None]

    for crop, ((top, bottom), (left, right)) in enumerate(CROPS):
        kept = large.crop((round(left * 640), round(top * 640), round(right * 640), round(bottom * 640)))
        assert likeness(waves(shrunk(large), crop), waves(shrunk(kept)))[0] > 0.98, crop


def test_likeness_is_a_correlation() -> None:
    one, other = waves(drawn(1)), waves(drawn(2)[1:])
    assert likeness(one, one * 3)[0] == pytest.approx(1)
    assert abs(likeness(one, other)[0]) < 0.5
    assert likeness(one * 0, other)[0] == 0
