"""Gaussian blur."""

from __future__ import annotations

import pytest
import torch
from torchvision.transforms import functional

from pathplugins.classify.pictures.blur import blur


@pytest.mark.parametrize("sigma", [0.1, 0.19, 0.25, 0.7, 1.3, 2.0])
def test_a_blur_is_that_of_torchvision(sigma: float) -> None:
    x = 255 * torch.rand(3, 37, 26, generator=torch.Generator().manual_seed(0)).round()
    assert (blur(x, sigma) - functional.gaussian_blur(x, [23, 23], [sigma, sigma])).abs().max() < 0.5


def test_a_picture_smaller_than_the_kernel_is_blurred() -> None:
    assert blur(torch.rand(3, 4, 3), 2.0).shape == (3, 4, 3)
