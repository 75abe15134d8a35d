"""Gaussian blur of a batch, each picture with its own width."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import pad

_REACH = 3.0  #: standard deviations; what lies beyond weighs 0.3 %, less than a grey value


def blur(x: Tensor, sigmas: Tensor) -> Tensor:
    """Blur pictures; at the edges they are continued by their mirror images.

    Args:
        x: float32 ``[N, 3, H, W]``.
        sigmas: ``[N]``, standard deviation of each picture's Gaussian, pixels, above 0.

    Returns:
        The same shape.
    """
    reach = min(math.ceil(_REACH * float(sigmas.max())), min(x.shape[2:]) - 1)
    steps = torch.arange(-reach, reach + 1, device=x.device)
    weights = torch.exp(-0.5 * (steps / sigmas[:, None]) ** 2)
    weights = (weights / weights.sum(1, keepdim=True))[..., None, None, None]  # [N, 2 r + 1, 1, 1, 1]
    source = pad(x, (reach,) * 4, mode="reflect")  # [N, 3, H + 2 r, W + 2 r]
    for axis in (2, 3):
        length = x.shape[axis]
        done = source.narrow(axis, reach, length) * weights[:, reach]
        for step in range(1, reach + 1):
            for start in (reach - step, reach + step):
                done.addcmul_(source.narrow(axis, start, length), weights[:, start])
        source = done
    return source
