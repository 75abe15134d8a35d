"""The network of the tower."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class Options:
    """What ``vision_config`` may hold."""

    feature_dim: int
    hidden_size: int = 16


def build(options: dict[str, Any]) -> nn.Module:
    """The tower with random weights."""
    return AverageTower(Options(**options))


class AverageTower(nn.Module):
    """A linear map of each patch plus that of the average of its bag, which is the slide token."""

    reads = "bags"

    def __init__(self, config: Options) -> None:
        super().__init__()
        self.config = config
        self.hidden_size = config.hidden_size
        self.patch = nn.Linear(config.feature_dim, config.hidden_size)

    def forward(self, features: Tensor, coords_xy: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
        """``[sum N, D]``, ``[sum N, 2]``, ``[I]`` to slide tokens ``[I, C]`` and patch tokens ``[sum N, C]``."""
        del coords_xy
        tokens = self.patch(features.to(self.patch.weight.dtype))  # [sum N, C]
        cls = torch.stack([bag.mean(0) for bag in tokens.split(counts.tolist())])  # [I, C]
        return cls, tokens + cls.repeat_interleave(counts, 0)
