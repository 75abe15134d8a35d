"""Number types: trainers keep some weights in another type than the rest, and the parts must still fit together."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class LayerNorm(nn.LayerNorm):
    """LayerNorm in float32 whatever the type of its input and weights, which hosts may set apart."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise the last axis; the type of ``x`` is kept."""
        exact = torch.promote_types(x.dtype, torch.float32)
        weight, bias = self.weight.to(exact), self.bias.to(exact)
        return F.layer_norm(x.to(exact), self.normalized_shape, weight, bias, self.eps).to(x.dtype)


def like_weight(x: Tensor, layer: nn.Module) -> Tensor:
    """Return ``x`` in the type of the weight of ``layer``; unchanged for a quantised layer, which casts by itself."""
    dtype = layer.weight.dtype
    return x.to(dtype) if dtype.is_floating_point else x
