"""SlideChat's slide encoder: patch features in, a token for each patch out; no positions, no slide token.

The published code hands LongNet the patches along its batch axis, so that each is a sequence of length one: patches
never see each other, and attention is ``v_proj`` exactly. ``attend: true`` is what the paper describes, one sequence
per slide. Bags are ragged and packed; T is the sum of their N patches, C ``embed_dim``, F ``ffn_dim``. What training
drops, a frozen tower keeps.

Source: https://github.com/uni-medical/SlideChat at aa1ff55 (xtuner/model/llava.py, torchscale of LongNet).
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pathplugins.models.dtypes import LayerNorm, like_weight
from pathplugins.models.towers.dilated_attention import dilated_attention
from pathplugins.models.towers.slidechat_config import SlideChatConfig

_SCALED = ("self_attn.v_proj", "self_attn.out_proj", "ffn.fc1", "ffn.fc2")


def learns(module: nn.Module, norm: nn.Module) -> bool:
    """Return whether ``module`` is trained now, by a norm of its own that no quantisation or adapter replaces."""
    return module.training and norm.weight.requires_grad


class SelfAttention(nn.Module):
    """Attention of each patch to itself, or with ``attend`` among the patches of a slide."""

    def __init__(self, config: SlideChatConfig) -> None:
        super().__init__()
        self.config = config
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            self.add_module(name, nn.Linear(config.embed_dim, config.embed_dim))
        self.inner_attn_ln = LayerNorm(config.embed_dim, eps=1e-5)

    def forward(self, x: Tensor, sizes: list[int]) -> Tensor:
        """Transform packed tokens ``[T, C]`` of bags of ``sizes`` patches; the shape stays."""
        value = self.v_proj(x)
        mixed = self._among(x, value, sizes) if self.config.attend else self._with_zero_gradients(x, value)
        return self.out_proj(self.inner_attn_ln(mixed))

    def _among(self, x: Tensor, value: Tensor, sizes: list[int]) -> Tensor:
        config, heads = self.config, self.config.num_heads
        projected = (self.q_proj(x), self.k_proj(x), value)
        bags = zip(*(y.unflatten(-1, (heads, -1)).split(sizes) for y in projected), strict=True)
        options = {"segment_lengths": config.segment_lengths, "ratios": config.dilated_ratios}
        return torch.cat([dilated_attention(*qkv, **options).flatten(1) for qkv in bags])

    def _with_zero_gradients(self, x: Tensor, value: Tensor) -> Tensor:
        """Return ``value``; queries and keys get a gradient of exactly zero, as published, and none is missing one."""
        if not torch.is_grad_enabled() or not (self.q_proj.weight.requires_grad or self.k_proj.weight.requires_grad):
            return value
        row = self.q_proj(x[:1]) + self.k_proj(x[:1])
        return value + torch.where(torch.zeros_like(row, dtype=torch.bool), row, 0)


class FeedForward(nn.Module):
    """Two linears with an exact GELU and a LayerNorm between them."""

    def __init__(self, config: SlideChatConfig) -> None:
        super().__init__()
        self.fc1 = nn.Linear(config.embed_dim, config.ffn_dim)
        self.ffn_layernorm = LayerNorm(config.ffn_dim, eps=1e-5)
        self.fc2 = nn.Linear(config.ffn_dim, config.embed_dim)

    def forward(self, x: Tensor) -> Tensor:
        """Transform ``[T, C]``; the shape stays."""
        hidden = self.fc1(x)  # [T, F]
        active = F.gelu(hidden.to(torch.promote_types(hidden.dtype, torch.float32))).to(hidden.dtype)
        return self.fc2(self.ffn_layernorm(active))


class EncoderLayer(nn.Module):
    """Pre-norm attention and feed-forward, each with a residual."""

    def __init__(self, config: SlideChatConfig, index: int) -> None:
        super().__init__()
        self.self_attn = SelfAttention(config)
        self.self_attn_layer_norm = LayerNorm(config.embed_dim, eps=1e-5)
        self.ffn = FeedForward(config)
        self.final_layer_norm = LayerNorm(config.embed_dim, eps=1e-5)
        self.dropout, self.per_slide = config.dropout, config.attend
        self.drop_path_rate = config.drop_path_rate * index / max(1, config.depth - 1)

    def forward(self, x: Tensor, sizes: list[int]) -> Tensor:
        """Transform packed tokens ``[T, C]`` of bags of ``sizes`` patches; the shape stays."""
        x = x + self._drop(self.self_attn(self.self_attn_layer_norm(x), sizes), sizes)
        return x + self._drop(self.ffn(self.final_layer_norm(x)), sizes)

    def _drop(self, x: Tensor, sizes: list[int]) -> Tensor:
        if not learns(self, self.final_layer_norm):
            return x
        x = F.dropout(x, self.dropout)
        if not self.drop_path_rate:
            return x
        draws = len(sizes) if self.per_slide else len(x)
        kept = x.new_empty(draws, 1).bernoulli_(1 - self.drop_path_rate) / (1 - self.drop_path_rate)
        if self.per_slide:
            kept = kept.repeat_interleave(torch.tensor(sizes, device=x.device), 0)
        return x * kept  # [T, C]


class SlideChatTower(nn.Module):
    """Slide encoder over packed bags; parameter names are those below the published ``LongNet_encoder``."""

    reads = "bags"
    slide_token = False

    def __init__(self, config: SlideChatConfig) -> None:
        super().__init__()
        self.config = config
        self.layers = nn.ModuleList(EncoderLayer(config, index) for index in range(config.depth))
        self.layer_norm = LayerNorm(config.embed_dim, eps=1e-5)

    @property
    def hidden_size(self) -> int:
        """Width of the tokens."""
        return self.config.embed_dim

    def reset_parameters(self) -> None:
        """Draw all linears as published: torch's own values, those of ``_SCALED`` times sqrt(ln(2 * layers))."""
        gain = math.sqrt(math.log(2 * self.config.depth))
        for name, module in self.named_modules():
            if isinstance(module, nn.Linear):
                module.reset_parameters()
                if name.endswith(_SCALED):
                    with torch.no_grad():
                        module.weight.mul_(gain)
                        module.bias.mul_(gain)

    def forward(self, features: Tensor, coords_xy: Tensor, counts: Tensor) -> tuple[None, Tensor]:
        """Encode bags packed one after another.

        Args:
            features: Patch features ``[T, C]``, any float type.
            coords_xy: Not looked at.
            counts: Patches of each bag ``[B]``; they add up to T.

        Returns:
            None in place of slide tokens, and the patch tokens ``[T, C]``.
        """
        del coords_xy
        sizes = counts.tolist()
        if not sizes or min(sizes) < 1 or features.shape != (sum(sizes), self.config.embed_dim):
            raise ValueError(
                f"packed bags do not fit together: counts {sizes} (each at least 1) add up to {sum(sizes)}, so "
                f"features must be ({sum(sizes)}, {self.config.embed_dim}); got {tuple(features.shape)}"
            )
        x = like_weight(features, self.layers[0].self_attn.v_proj)
        x = F.dropout(x, self.config.dropout, learns(self, self.layer_norm))
        for layer in self.layers:
            x = layer(x, sizes)  # [T, C]
        return None, self.layer_norm(x)


def build(options: dict[str, Any]) -> SlideChatTower:
    """Build the slide encoder, with random weights, from the options of ``vision_config``."""
    return SlideChatTower(SlideChatConfig(**options))
