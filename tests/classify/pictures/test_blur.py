"""Gaussian blur."""

from __future__ import annotations

import torch
from torchvision.transforms import functional

from pathplugins.classify.pictures.blur import blur


def test_a_blur_is_that_of_torchvision() -> None:
    sigmas = [0.1, 0.19, 0.25, 0.7, 1.3, 2.0]
    x = 255 * torch.rand(6, 3, 37, 26, generator=torch.Generator().manual_seed(0)).round()
    wanted = torch.stack([functional.gaussian_blur(one, [23, 23], [s, s]) for one, s in zip(x, sigmas, strict=True)])
    assert (blur(x, torch.tensor(sigmas)) - wanted).abs().max() < 1
    single = torch.cat([blur(x[i : i + 1], torch.tensor(sigmas[i : i + 1])) for i in range(6)])
    assert (single - wanted).abs().max() < 1


def test_a_picture_smaller_than_the_kernel_is_blurred() -> None:
    assert blur(torch.rand(1, 3, 4, 3), torch.tensor([2.0])).shape == (1, 3, 4, 3)
