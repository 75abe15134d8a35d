"""Towers that look at every patch by itself: features of any encoder in, tokens out, no positions, no slide token.

Bags are packed. Axes: I bags, D width of the features, C width of the tokens.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from pathplugins.core.errors import PathPluginsError
from pathplugins.models.dtypes import LayerNorm, like_weight
from pathplugins.models.towers.features_config import FeaturesConfig, PatchMLPConfig

_EPS = 1e-6


class FeaturesTower(nn.Module):
    """The features themselves: D is C. It has no weights, so the connector is what learns to read them."""

    reads, slide_token = "bags", False

    def __init__(self, config: FeaturesConfig) -> None:
        super().__init__()
        self.config = config

    @property
    def hidden_size(self) -> int:
        """Width of the tokens."""
        return self.config.feature_dim

    def forward(self, features: Tensor, coords_xy: Tensor, counts: Tensor) -> tuple[None, Tensor]:
        """Return no class tokens, and the features ``[sum N, D]`` in their own type; positions are not looked at."""
        del coords_xy, counts
        _check_width(features, self.config)
        return None, normed(features) if self.config.layer_norm else features


class PatchMLPTower(nn.Module):
    """Linear to C, then residual blocks of norm, two linears with GELU between; every patch by itself.

    For features that a connector alone reads badly, at a thousandth of a slide encoder's cost. Trained from its first
    weights: ``freeze_vision_tower: false``.
    """

    reads, slide_token = "bags", False

    def __init__(self, config: PatchMLPConfig) -> None:
        super().__init__()
        self.config = config
        self.proj = nn.Linear(config.feature_dim, config.hidden_dim)
        self.blocks = nn.ModuleList(_Block(config) for _ in range(config.depth))
        self.norm = LayerNorm(config.hidden_dim)

    @property
    def hidden_size(self) -> int:
        """Width of the tokens."""
        return self.config.hidden_dim

    def forward(self, features: Tensor, coords_xy: Tensor, counts: Tensor) -> tuple[None, Tensor]:
        """Return no class tokens, and a token ``[sum N, C]`` of every patch; positions are not looked at."""
        del coords_xy, counts
        _check_width(features, self.config)
        x = normed(features) if self.config.layer_norm else features
        x = self.proj(like_weight(x, self.proj))  # [sum N, C]
        for block in self.blocks:
            x = x + block(x)
        return None, self.norm(x)


class _Block(nn.Module):
    def __init__(self, config: PatchMLPConfig) -> None:
        super().__init__()
        self.norm = LayerNorm(config.hidden_dim)
        self.fc1 = nn.Linear(config.hidden_dim, 4 * config.hidden_dim)
        self.fc2 = nn.Linear(4 * config.hidden_dim, config.hidden_dim)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[sum N, C]`` to ``[sum N, C]``."""
        return self.dropout(self.fc2(F.gelu(self.fc1(self.norm(x)))))


def normed(features: Tensor) -> Tensor:
    """Return every row with mean 0 and variance 1, computed in float32 at least: ``[sum N, D]``."""
    exact = features if features.dtype.itemsize >= 4 else features.float()
    return F.layer_norm(exact, exact.shape[-1:], eps=_EPS)


def _check_width(features: Tensor, config: FeaturesConfig) -> None:
    if features.shape[-1] != config.feature_dim:
        raise PathPluginsError(
            f"features are {features.shape[-1]} wide, this tower takes {config.feature_dim}; set feature_dim of "
            "vision_config to the width of your bags"
        )
