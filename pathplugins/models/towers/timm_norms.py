"""Norms and scales of timm's models in a form that trains beside a language model.

Trainers keep norms in other number types than the rest, and under ZeRO-3 only one rank reads the buffers of a
checkpoint: batch norms, whose statistics are buffers, would differ from rank to rank. A batch norm of a vision tower
does not move, so it is one factor and one summand per channel, and these are weights. Transformers up to 4.5x reads
every ``gamma`` in a name of a weight as ``weight``, every ``beta`` as ``bias``, so those names change as well.

Axes: T tiles, C channels, h and w of a map.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from pathplugins.core.optional import need
from pathplugins.models.dtypes import LayerNorm

timm = need("timm")


class ChannelAffine(nn.Module):
    """A batch norm with fixed statistics: a factor and a summand per channel, in float32 whatever their type."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        count = norm.num_features
        self.weight = nn.Parameter(torch.ones(count))
        self.bias = nn.Parameter(torch.zeros(count))
        for name in ("drop", "act"):  # of timm's norms with an activation
            if hasattr(norm, name):
                setattr(self, name, getattr(norm, name))

    def forward(self, x: Tensor) -> Tensor:
        """Scale and shift ``[T, C, h, w]``; its type is kept."""
        exact = torch.promote_types(x.dtype, torch.float32)
        weight, bias = (value.to(exact)[:, None, None] for value in (self.weight, self.bias))
        x = torch.addcmul(bias, x.to(exact), weight).to(x.dtype)
        for name in ("drop", "act"):
            x = getattr(self, name)(x) if hasattr(self, name) else x
        return x


class LayerNorm2d(LayerNorm):
    """Layer norm over the channels of a map."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise ``[T, C, h, w]`` over C; its type is kept."""
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def take_any_type(module: nn.Module) -> None:
    """Replace batch norms and layer norms below ``module``; their names stay."""
    for name, child in list(module.named_children()):
        if isinstance(child, nn.BatchNorm2d):
            setattr(module, name, ChannelAffine(child))
        elif type(child) in (nn.LayerNorm, timm.layers.LayerNorm, timm.layers.LayerNorm2d) and child.elementwise_affine:
            kind = LayerNorm2d if type(child) is timm.layers.LayerNorm2d else LayerNorm
            setattr(module, name, kind(child.normalized_shape, eps=child.eps))
        else:
            take_any_type(child)


def rename_scales(module: nn.Module) -> None:
    """Rename weights called ``gamma`` or ``beta``, which Transformers would rename; timm's code still finds them."""
    for part in list(module.modules()):
        moved = {name: safe_name(name) for name in part._parameters if safe_name(name) != name}
        for name, new in moved.items():
            part._parameters[new] = part._parameters.pop(name)
        if moved:
            own = type(part)
            aliases = {name: property(lambda self, new=new: getattr(self, new)) for name, new in moved.items()}
            part.__class__ = type(own.__name__, (own,), {**aliases, "__module__": own.__module__})


def safe_name(name: str) -> str:
    """Return the name of a weight as `rename_scales` leaves it."""
    return name.replace("gamma", "factor").replace("beta", "summand")


def folded(model: nn.Module, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return ``state``, weights of a model of timm, by the names after `take_any_type` and `rename_scales`.

    The statistics of batch norms have become factors and summands.
    """
    state = dict(state)
    for name, module in model.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            state.update(_factor_and_summand(name, module))
            for statistic in ("running_mean", "running_var", "num_batches_tracked"):
                state.pop(f"{name}.{statistic}", None)
    return {safe_name(name): value for name, value in state.items()}


def _factor_and_summand(name: str, norm: Any) -> dict[str, Tensor]:
    """Compute in double precision, so that the result rounds once."""
    mean, variance = norm.running_mean.double(), norm.running_var.double()
    factor = torch.rsqrt(variance + norm.eps)
    summand = -mean * factor
    if norm.affine:
        factor, summand = factor * norm.weight.double(), summand * norm.weight.double() + norm.bias.double()
    return {f"{name}.weight": factor.to(norm.running_mean.dtype), f"{name}.bias": summand.to(norm.running_mean.dtype)}
