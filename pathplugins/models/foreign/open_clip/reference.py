"""Compute OpenCLIP's features by tensor operations alone, to compare a converted model with.

Written from the papers (arXiv:2103.00020, arXiv:2010.11929) and the names of the weights; shares no code with what it
measures. Axes: B images or texts, T tokens, C width, D shared space.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from pathplugins.published.open_clip import QUICK_GELU

State = Mapping[str, Tensor]


def image_features(state: State, pixels: Tensor, *, layers: int, heads: int, activation: str) -> tuple[Tensor, Tensor]:
    """Compute features [B, D] of images [B, 3, S, S] in the shared space, and the last layer's input [B, T, C].

    Without a projection in ``state`` the former are of the tower's width.
    """
    kernel = state["visual.conv1.weight"]
    x = F.conv2d(pixels, kernel, stride=kernel.shape[-1]).flatten(2).transpose(1, 2)  # [B, T - 1, C]
    cls = state["visual.class_embedding"].expand(len(x), 1, -1)
    x = torch.cat([cls, x], 1) + state["visual.positional_embedding"]  # [B, T, C]
    x = _norm(state, "visual.ln_pre", x)
    before_last = x
    for number in range(layers):
        before_last = x
        x = _layer(state, f"visual.transformer.resblocks.{number}", x, heads, activation, causal=False)
    pooled = _norm(state, "visual.ln_post", x[:, 0])  # [B, C]
    return pooled @ state["visual.proj"] if "visual.proj" in state else pooled, before_last


def text_features(state: State, ids: Tensor, *, layers: int, heads: int, activation: str) -> Tensor:
    """Compute features [B, D] of token ids [B, T] in the shared space, taken where each text's highest id stands."""
    x = F.embedding(ids, state["token_embedding.weight"]) + state["positional_embedding"][: ids.shape[1]]  # [B, T, C]
    for number in range(layers):
        x = _layer(state, f"transformer.resblocks.{number}", x, heads, activation, causal=True)
    x = _norm(state, "ln_final", x)
    return x[torch.arange(len(x)), ids.argmax(1)] @ state["text_projection"]


def _layer(state: State, at: str, x: Tensor, heads: int, activation: str, *, causal: bool) -> Tensor:
    """Run a pre-norm transformer layer, [B, T, C] to [B, T, C]."""
    y = _norm(state, f"{at}.ln_1", x)
    y = F.linear(y, state[f"{at}.attn.in_proj_weight"], state[f"{at}.attn.in_proj_bias"])  # [B, T, 3 C]
    q, k, v = (part.unflatten(-1, (heads, -1)) for part in y.chunk(3, -1))  # each [B, T, heads, C / heads]
    scores = torch.einsum("bqhd,bkhd->bhqk", q, k) * q.shape[-1] ** -0.5  # [B, heads, T, T]
    if causal:
        scores = scores.masked_fill(torch.ones_like(scores[0, 0]).triu(1).bool(), float("-inf"))
    y = torch.einsum("bhqk,bkhd->bqhd", scores.softmax(-1), v).flatten(2)  # [B, T, C]
    x = x + _linear(state, f"{at}.attn.out_proj", y)
    y = _linear(state, f"{at}.mlp.c_fc", _norm(state, f"{at}.ln_2", x))
    y = y * torch.sigmoid(1.702 * y) if activation == QUICK_GELU else F.gelu(y)
    return x + _linear(state, f"{at}.mlp.c_proj", y)


def _linear(state: State, at: str, x: Tensor) -> Tensor:
    return F.linear(x, state[f"{at}.weight"], state[f"{at}.bias"])


def _norm(state: State, at: str, x: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], state[f"{at}.weight"], state[f"{at}.bias"], 1e-5)
