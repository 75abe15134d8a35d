"""Pictures of a report: outlines where the mask changes, nowhere else, and data addresses that decode."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from pathplugins.classify.scoring.shown import COLOURS, SHOWN_PX, outlined, picture, shares


def test_a_border_has_the_colour_of_each_side() -> None:
    mask = np.zeros((90, 50), np.uint8)  # tall
    mask[:, 20:] = 3
    pixels = np.full((90, 50, 3), 200, np.uint8)
    drawn = outlined(pixels, mask)
    factor = -(-SHOWN_PX // 50)
    edge = 20 * factor
    assert drawn.shape == (90 * factor, 50 * factor, 3)
    assert (drawn[:, edge - 3 : edge] == COLOURS[0]).all()
    assert (drawn[:, edge : edge + 3] == COLOURS[3]).all()
    assert (drawn[:, : edge - 3] == 200).all()
    assert (drawn[:, edge + 3 :] == 200).all()


def test_a_mask_of_one_class_has_no_outline() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (400, 330, 3), np.uint8)
    assert np.array_equal(outlined(pixels, np.full((400, 330), 2)), pixels)


def test_a_picture_carries_its_bytes() -> None:
    shot = picture(np.full((5, 9, 3), 120, np.uint8), alt="<b>", caption="c")
    head, _, body = shot.uri.partition(",")
    assert head == "data:image/jpeg;base64"
    assert Image.open(io.BytesIO(base64.b64decode(body))).size == (9, 5) == (shot.width, shot.height)


def test_shares_are_sorted_and_leave_out_what_is_absent() -> None:
    mask = np.array([[0, 0, 2], [2, 2, 2]])
    assert shares(mask, ("stroma", "fat", "benign")) == "benign 67%, stroma 33%"
