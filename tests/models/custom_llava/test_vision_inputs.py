"""Packed vision inputs: an image goes with all its rows, in the order asked for."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from pathplugins.models.custom_llava.vision_inputs import VISION_INPUTS, take_images

COUNTS = torch.tensor([3, 1, 4])
ROWS = [[0, 1, 2], [3], [4, 5, 6, 7]]
"""Of each image, in the packed tensors."""


def bags() -> dict[str, Tensor]:
    features, coords = torch.arange(16.0).view(8, 2), torch.arange(16).view(8, 2) * 7
    seeds = torch.tensor([50, 51, 52])
    return {"patch_features": features, "patch_coords": coords, "patch_counts": COUNTS, "patch_seeds": seeds}


def tiles() -> dict[str, Tensor]:
    return {"pixel_values": torch.arange(8.0)[:, None, None, None].expand(8, 3, 2, 2), "tile_counts": COUNTS}


@pytest.mark.parametrize("images", [[0, 1, 2], [2, 0, 2, 0], [1], [1, 2, 1, 2, 0, 0, 0]], ids=str)
@pytest.mark.parametrize("inputs", [bags(), tiles()], ids=["bags", "tiles"])
def test_whole_images_in_any_order_any_number_of_times(inputs: dict[str, Tensor], images: list[int]) -> None:
    whole: dict[str, Any] = {**dict.fromkeys(VISION_INPUTS), **inputs}
    taken = take_images(whole, images)
    rows = [row for image in images for row in ROWS[image]]
    for name, value in whole.items():
        if value is None:
            assert taken[name] is None
        else:
            assert torch.equal(taken[name], value[rows if len(value) == 8 else images]), name
