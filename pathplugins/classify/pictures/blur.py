"""Gaussian blur of a picture."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

_REACH = 3.5  #: standard deviations; what lies beyond weighs less than a thousandth of a grey value
_LEAST_SIGMA = 0.2  #: below it the neighbours weigh less than a thousandth of a grey value


def blur(x: Tensor, sigma: float) -> Tensor:
    """Blur a picture; at the edges it is continued by its mirror image.

    Args:
        x: float32 ``[3, H, W]``.
        sigma: Standard deviation of the Gaussian, pixels.

    Returns:
        The same shape.
    """
    reach = min(math.ceil(_REACH * sigma), min(x.shape[1:]) - 1)
    if sigma < _LEAST_SIGMA or not reach:
        return x
    steps = torch.arange(-reach, reach + 1, dtype=x.dtype, device=x.device)
    weights = torch.exp(-0.5 * (steps / sigma) ** 2)
    weights = (weights / weights.sum())[None, None]  # [1, 1, 2 r + 1]
    planes = pad(x[:, None], (reach,) * 4, mode="reflect")  # [3, 1, H + 2 r, W + 2 r]
    return conv2d(conv2d(planes, weights[:, :, :, None]), weights[:, :, None])[:, 0]
