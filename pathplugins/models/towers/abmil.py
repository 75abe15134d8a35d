"""Gated-attention slide encoder (ABMIL, Ilse et al., arXiv:1802.04712): CHIEF, Feather, CLAM with one branch.

A linear layer and ReLU embed every patch by itself; an attention with two gates says how much each counts:
``h = relu(E x)``, ``a = softmax over the patches of w (tanh(V h) * sigmoid(U h))``, slide = ``sum a h``. No positions.
Their training has dropout behind each layer, ours has none: these are encoders that were trained elsewhere.

Bags are packed. Axes: I bags, D width of the features, C hidden width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pathplugins.core.errors import PathPluginsError
from pathplugins.models.dtypes import like_weight
from pathplugins.models.towers.abmil_config import AbmilConfig
from pathplugins.models.towers.cls_attention import ClsAttention, resolve_layer


class AbmilTower(nn.Module):
    """Embedded patches and their attention-weighted mean; or the features themselves and theirs."""

    reads, slide_token = "bags", True

    def __init__(self, config: AbmilConfig) -> None:
        super().__init__()
        self.config = config
        self.embed = nn.Linear(config.feature_dim, config.hidden_dim)
        self.gate_tanh = nn.Linear(config.hidden_dim, config.attention_dim)
        self.gate_sigmoid = nn.Linear(config.hidden_dim, config.attention_dim)
        self.score = nn.Linear(config.attention_dim, 1)

    @property
    def hidden_size(self) -> int:
        """Width of the tokens."""
        return self.config.hidden_dim if self.config.tokens == "embedded" else self.config.feature_dim

    def looking(self, layer: int | None) -> int:
        """Return 0, the only layer that looks; raises ``PathPluginsError`` for another."""
        return resolve_layer(layer, 1)

    def attend(
        self, features: Tensor, coords_xy: Tensor, counts: Tensor, *, layer: int | None = None
    ) -> tuple[Tensor, Tensor, ClsAttention]:
        """Encode as `forward` does, and return each slide's attention over its patches; keys are embedded patches."""
        del coords_xy
        self.looking(layer)
        if features.shape[-1] != self.config.feature_dim:
            raise PathPluginsError(
                f"features are {features.shape[-1]} wide, this slide encoder takes {self.config.feature_dim}; make "
                "bags with the patch encoder that it was trained on"
            )
        h = F.relu(self.embed(like_weight(features, self.embed)))  # [sum N, C]
        gates = torch.tanh(self.gate_tanh(h)) * torch.sigmoid(self.gate_sigmoid(h))
        scores = self.score(gates)[:, 0]  # [sum N]
        exact = torch.promote_types(scores.dtype, torch.float32)
        sizes = counts.tolist()
        weights = torch.cat([each.to(exact).softmax(0) for each in scores.split(sizes)])
        tokens = h if self.config.tokens == "embedded" else like_weight(features, self.embed)
        bags = zip(weights.split(sizes), tokens.split(sizes), strict=True)
        slides = torch.stack([share @ part.to(exact) for share, part in bags])  # [I, C]
        return slides.to(tokens.dtype), tokens, ClsAttention(weights.float(), h)

    def forward(self, features: Tensor, coords_xy: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
        """Return the slide tokens ``[I, C]`` and a token of every patch ``[sum N, C]``; positions are not looked at."""
        slides, tokens, _ = self.attend(features, coords_xy, counts)
        return slides, tokens
