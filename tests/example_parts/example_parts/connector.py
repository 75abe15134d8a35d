"""A connector: one linear layer and a scale."""

from __future__ import annotations

from torch import Tensor, nn


class ScaledConnector(nn.Module):
    """``scale * (W x + b)``."""

    def __init__(self, in_features: int, out_features: int, *, scale: float = 0.5) -> None:
        super().__init__()
        self.scale = scale
        self.linear = nn.Linear(in_features, out_features)

    def forward(self, tokens: Tensor) -> Tensor:
        """``[..., C]`` to ``[..., H]``."""
        return self.scale * self.linear(tokens.to(self.linear.weight.dtype))
