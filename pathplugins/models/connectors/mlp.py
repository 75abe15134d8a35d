"""Connectors that see one vision token at a time.

Shapes: ``[..., C]`` (vision width) in, ``[..., H]`` (width of the language model) out.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from pathplugins.core.errors import PathPluginsError
from pathplugins.models.dtypes import LayerNorm, like_weight


class LinearConnector(nn.Module):
    """One linear layer (LLaVA, arXiv:2304.08485)."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.linear_1 = nn.Linear(in_features, out_features)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map ``[..., C]`` to ``[..., H]``."""
        return self.linear_1(like_weight(tokens, self.linear_1))


class MLPConnector(nn.Module):
    """Linear, GELU, linear (LLaVA-1.5, arXiv:2310.03744), by the key names of Transformers' LLaVA."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.linear_1 = nn.Linear(in_features, out_features)
        self.linear_2 = nn.Linear(out_features, out_features)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map ``[..., C]`` to ``[..., H]``."""
        x = nn.functional.gelu(self.linear_1(like_weight(tokens, self.linear_1)))  # [..., H]
        return self.linear_2(x)


class GammaMLPConnector(nn.Module):
    """Two layers with LayerNorm and a learnt scale kept between two bounds (WSI-LLaVA, UCL).

    ``scale = scale_min + sigmoid(scale_logit) * (scale_max - scale_min)``. The published name of the logit holds the
    word that Transformers 4.48 renames when it loads a checkpoint, so here it is ``scale_logit``; the module
    `pathplugins.models.compose.projector` translates. The bounds live in the configuration, not in the weights: the
    same logit under other bounds means a different scale.

    Args:
        in_features: C, width of the vision tokens.
        out_features: H, width of the language model.
        dropout: after the activation, while training.
        scale_min: lower bound of the scale, exclusive.
        scale_max: upper bound of the scale, exclusive.
        scale_init: the scale to start from; the middle of the bounds when None.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        dropout: float = 0.1,
        scale_min: float = 0.8,
        scale_max: float = 2.0,
        scale_init: float | None = None,
    ) -> None:
        super().__init__()
        if not scale_min < scale_max:
            raise PathPluginsError(f"gamma_min must be below gamma_max, got {scale_min} and {scale_max}")
        self.scale_min, self.scale_max, self.scale_init = scale_min, scale_max, scale_init
        self.linear_1 = nn.Linear(in_features, out_features)
        self.ln1 = LayerNorm(out_features)
        self.dropout = nn.Dropout(dropout)
        self.linear_2 = nn.Linear(out_features, out_features)
        self.ln2 = LayerNorm(out_features)
        self.scale_logit = nn.Parameter(torch.zeros(1))

    def reset_parameters(self) -> None:
        """Start the scale at ``scale_init``. Only the bare parameter: the host initialises the layers."""
        middle = (self.scale_min + self.scale_max) / 2
        scale = middle if self.scale_init is None else self.scale_init
        nn.init.constant_(self.scale_logit, logit_of(scale, self.scale_min, self.scale_max))

    @property
    def scale(self) -> Tensor:
        """The factor in force, shape [1]."""
        return self.scale_min + torch.sigmoid(self.scale_logit) * (self.scale_max - self.scale_min)

    def forward(self, tokens: Tensor) -> Tensor:
        """Map ``[..., C]`` to ``[..., H]``."""
        x = self.linear_1(like_weight(tokens, self.linear_1))  # [..., H]
        x = self.dropout(nn.functional.gelu(self.ln1(x)))
        return self.ln2(self.linear_2(x)) * self.scale.to(x.dtype)


def logit_of(scale: float, low: float, high: float) -> float:
    """Return the logit that gives ``scale`` between ``low`` and ``high``, both exclusive."""
    if not low < scale < high:
        raise PathPluginsError(
            f"gamma {scale:.4g} does not lie between gamma_min {low} and gamma_max {high}; widen them"
        )
    share = (scale - low) / (high - low)
    return math.log(share / (1 - share))
