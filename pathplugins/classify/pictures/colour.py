"""Colour changes of whole batches: those of torchvision's ColorJitter and RandomGrayscale, each picture its own.

Values are float32 in [0, 255], tensors ``[B, 3, H, W]``, factors ``[B]``; every function returns the pictures it was
given, written over.
Hues turn as in HSV: the largest and the smallest channel of a pixel stay as large as they are.
"""

from __future__ import annotations

import torch
from torch import Tensor

WHITE = 255.0
_LUMA = (0.299, 0.587, 0.114)  #: ITU-R 601, as Pillow and torchvision weigh red, green and blue


def brightness(x: Tensor, factors: Tensor) -> Tensor:
    """Multiply; what is above white becomes white."""
    return x.mul_(_wide(factors)).clamp_(max=WHITE)


def contrast(x: Tensor, factors: Tensor) -> Tensor:
    """Move values away from the mean grey of their picture, or towards it."""
    mean = x.mean(dim=(2, 3)) @ x.new_tensor(_LUMA)  # [B]
    return x.mul_(_wide(factors)).add_(_wide(mean * (1 - factors))).clamp_(0, WHITE)


def saturation(x: Tensor, factors: Tensor) -> Tensor:
    """Move values away from the grey of their pixel, or towards it."""
    factors = _wide(factors)
    greys = _luma(x).mul_(1 - factors)
    return x.mul_(factors).add_(greys).clamp_(0, WHITE)


def hue(x: Tensor, turns: Tensor) -> Tensor:
    """Turn the hues by shares of a circle, in [-1/6, 1/6].

    A hue lies on a circle of six: red at 0, green at 2, blue at 4. Red, say, stands at ``high`` up to 1 from its place,
    at ``low`` from 2 on, and falls evenly between. As one channel is ``high`` and one ``low``, the line that is clipped
    there is ``2 red - middle``, falling with the hue where green exceeds blue and rising where blue does; a turn moves
    it by as much times ``high - low``. Beyond 1/6 it would pass over a whole side of the circle, and this fails.
    """
    r, g, b = x.unbind(1)  # [B, H, W]
    high, low = x.amax(1, keepdim=True), x.amin(1, keepdim=True)  # [B, 1, H, W]
    minus_middle = x.sum(1, keepdim=True).neg_().add_(high).add_(low)
    ahead = torch.empty_like(x)  # of each channel: by how much the next exceeds the one before
    for place, (after, before) in enumerate(((g, b), (b, r), (r, g))):
        torch.sub(after, before, out=ahead[:, place])
    torch.copysign(high - low, ahead, out=ahead)
    x.mul_(2).add_(minus_middle).addcmul_(ahead, _wide(-6 * turns))
    return torch.clamp(x, low, high, out=x)


def grey(x: Tensor, _: Tensor) -> Tensor:
    """Take all colours out."""
    return x.copy_(_luma(x).expand_as(x))


def _luma(x: Tensor) -> Tensor:
    """Return the brightness of each pixel, ``[B, 1, H, W]``."""
    weights = x.new_tensor([_LUMA])
    return torch.matmul(weights, x.flatten(2)).unflatten(2, x.shape[2:])


def _wide(factors: Tensor) -> Tensor:
    return factors[:, None, None, None]
