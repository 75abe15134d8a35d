"""Colour changes: each is torchvision's, on a batch where every picture has its own factor."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torchvision.transforms import functional

from pathplugins.classify.pictures import colour

VALUES = {
    "brightness": (0.6, 1.4, 1.0),
    "contrast": (0.6, 1.4, 0.9),
    "saturation": (0.6, 1.4, 0.0),
    "hue": (-0.1, 0.1, 1 / 6),
}


@pytest.mark.parametrize("name", VALUES)
def test_a_change_is_that_of_torchvision(name: str) -> None:
    x = torch.rand(3, 3, 17, 24, generator=torch.Generator().manual_seed(0))
    x[:, :, :5] = x[:, :, :5].round()  # black, white and pure colours
    x[:, :, 6] = x[:, :1, 6]  # greys
    theirs: Callable[[Tensor, float], Tensor] = getattr(functional, f"adjust_{name}")
    wanted = torch.stack([theirs(picture, value) for picture, value in zip(x, VALUES[name], strict=True)])
    ours = x * colour.WHITE
    getattr(colour, name)(ours, torch.tensor(VALUES[name]))
    assert (ours / colour.WHITE - wanted).abs().max() < 2e-4
    assert (wanted - x).abs().mean() > 0.01


def test_grey_is_that_of_torchvision() -> None:
    x = torch.rand(2, 3, 5, 7)
    ours = x * colour.WHITE
    colour.grey(ours, torch.ones(2))
    assert torch.allclose(ours / colour.WHITE, functional.rgb_to_grayscale(x, 3), atol=2e-3)
