"""Colour changes of whole batches: those of torchvision's ColorJitter and RandomGrayscale, each picture its own.

Values are float32 in [0, 255], tensors ``[B, 3, H, W]``, factors ``[B]``; every function writes over its pictures.
Hues turn as in HSV: the largest and the smallest channel of a pixel stay as large as they are.
"""

from __future__ import annotations

import torch
from torch import Tensor

WHITE = 255.0
_LUMA = (0.299, 0.587, 0.114)  #: ITU-R 601, as Pillow and torchvision weigh red, green and blue
_LITTLE = 1e-6  #: keeps grey pixels, whose hue is of no account, from a division by zero


def brightness(x: Tensor, factors: Tensor) -> None:
    """Multiply; what is above white becomes white."""
    x.mul_(_wide(factors)).clamp_(max=WHITE)


def contrast(x: Tensor, factors: Tensor) -> None:
    """Move values away from the mean grey of their picture, or towards it."""
    factors = _wide(factors)
    mean = _luma(x).mean(dim=(2, 3), keepdim=True)  # [B, 1, 1, 1]
    x.mul_(factors).add_(mean * (1 - factors)).clamp_(0, WHITE)


def saturation(x: Tensor, factors: Tensor) -> None:
    """Move values away from the grey of their pixel, or towards it."""
    torch.lerp(_luma(x), x, _wide(factors), out=x).clamp_(0, WHITE)


def hue(x: Tensor, turns: Tensor) -> None:
    """Turn the hues by shares of a circle, in [-1/6, 1/6].

    A hue lies on a circle of six: red at 0, green at 2, blue at 4. A channel is largest up to 1 from its place, and
    smallest from 2 on; in between it falls evenly. Beyond 1/6 the sums below would leave one turn around the circle.
    """
    r, g, b = x.unbind(1)  # [B, H, W]
    high, low = torch.maximum(r, g).maximum(b), torch.minimum(r, g).minimum(b)
    spread = high - low
    part = 1 / (spread + _LITTLE)
    at_green, at_blue = (b - r).mul_(part).add_(2), (r - g).mul_(part).add_(4)
    place = torch.where(high == g, at_green, at_blue)
    place = torch.where(high == r, (g - b).mul_(part), place).add_(6 * turns[:, None, None])  # [-2, 6]
    base = low - spread
    for channel, own in ((r, 0.0), (g, 2.0), (b, 4.0)):
        share = (place - own).abs_().sub_(3).abs_().clamp_(1, 2)
        torch.addcmul(base, spread, share, out=channel)


def grey(x: Tensor, _: Tensor) -> None:
    """Take all colours out."""
    x.copy_(_luma(x).expand_as(x))


def _luma(x: Tensor) -> Tensor:
    """Return the brightness of each pixel, ``[B, 1, H, W]``."""
    weights = x.new_tensor([_LUMA])
    return torch.matmul(weights, x.flatten(2)).unflatten(2, x.shape[2:])


def _wide(factors: Tensor) -> Tensor:
    return factors[:, None, None, None]
