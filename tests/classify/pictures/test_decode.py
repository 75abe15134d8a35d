"""Decoding at a lower scale, and cutting."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from drawn_patches import blotches
from PIL import Image

from pathplugins.classify.pictures.decode import cut, cut_mask, decode, snapped


def jpeg(pixels: np.ndarray, **options: object) -> Image.Image:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=95, **options)
    return Image.open(file)


@pytest.mark.parametrize(("side", "factor"), [(50, 2), (99, 2), (100, 1), (24, 8), (49, 4)])
def test_a_lower_scale_shows_the_same(side: int, factor: int) -> None:
    pixels, box = blotches((241, 219), 0), (17, 9, 203, 200)
    found, by = decode(jpeg(pixels), "x.jpg", [box, (0, 0, 241, 219)], side)
    assert by == factor
    assert found.shape[:2] == (-(-219 // factor), -(-241 // factor))
    box = snapped(box, (241, 219), by)
    got = cut(found, box, by, side)
    whole, _ = decode(Image.fromarray(pixels), "x.png", [box], side)
    wanted = cut(whole, box, 1, side)
    assert got.shape == wanted.shape == (3, side, side)
    assert got.dtype == torch.uint8
    assert (got.float() - wanted.float()).abs().mean() < 3


@pytest.mark.parametrize("mode", ["L", "CMYK", "RGBA", "P"])
def test_every_kind_of_picture_becomes_rgb(mode: str) -> None:
    picture = Image.fromarray(blotches((97, 64), 1)).convert(mode)
    file = io.BytesIO()
    picture.save(file, "JPEG" if mode in ("L", "CMYK") else "PNG")
    found, by = decode(Image.open(file), "x", [(0, 0, 97, 64)], 16)
    assert found.shape == (64 // by, -(-97 // by), 3)
    assert found.dtype == np.uint8


def test_a_snapped_box_is_the_nearest_inside() -> None:
    assert snapped((17, 9, 203, 200), (241, 219), 1) == (17, 9, 203, 200)
    assert snapped((17, 9, 203, 200), (241, 219), 4) == (16, 8, 204, 200)
    assert snapped((0, 0, 241, 219), (241, 219), 8) == (0, 0, 240, 216)


def test_a_mask_is_cut_by_the_nearest() -> None:
    mask = np.arange(48, dtype=np.uint8).reshape(6, 8)
    assert cut_mask(mask, (2, 1, 4, 4), 4).tolist() == mask[1:5, 2:6].tolist()
    assert cut_mask(mask, (2, 1, 4, 4), 2).tolist() == [[mask[2, 3], mask[2, 5]], [mask[4, 3], mask[4, 5]]]
    assert cut_mask(mask, (0, 0, 4, 2), 8)[0].tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert cut_mask(mask, (0, 0, 4, 2), 8)[:, 0].tolist() == [0] * 4 + [8] * 4
