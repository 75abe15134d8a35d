"""Attention of the class token of a vision transformer, for selectors that rank by it.

With one head over the whole width, as LLaVA-PruMerge and WSI-LLaVA compute it. It is worked out beside the layer, from
the layer's input, so that no hook stays in the tower: two linear maps more, about 1 % of a released slide encoder.
Axes: B class tokens, N tokens each looks at, C width.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from pathplugins.core.errors import PathPluginsError


class ClsAttention(NamedTuple):
    """Packed, class tokens left out."""

    weights: Tensor
    """[sum N] float32: softmax over the N tokens of a class token and itself, its own share dropped."""
    keys: Tensor
    """[sum N, C]."""


def cls_attention(x: Tensor, q_proj: nn.Module, k_proj: nn.Module) -> ClsAttention:
    """Return the attention of the first token of each row.

    Args:
        x: [B, N + 1, C] input of the layer's projections, already normalised.
        q_proj: query projection of the layer.
        k_proj: key projection of the layer.
    """
    keys = k_proj(x)  # [B, N + 1, C]
    return attention_of(q_proj(x[:, :1]), keys)


def attention_of(query: Tensor, keys: Tensor, *, prefix: int = 1) -> ClsAttention:
    """Return the attention of a class token over the tokens behind the first ``prefix`` ones.

    Args:
        query: [B, 1, C] of the class token.
        keys: [B, prefix + N, C] of all tokens.
        prefix: class and register tokens, whose own shares are dropped.
    """
    scores = (query @ keys.mT).float()[:, 0] * keys.shape[-1] ** -0.5  # [B, prefix + N]
    return ClsAttention(torch.softmax(scores, -1)[:, prefix:].flatten(), keys[:, prefix:].flatten(0, 1))


@contextmanager
def input_of(layer: nn.Module) -> Iterator[list[Tensor]]:
    """Catch what ``layer`` is called with while the block lasts; every Transformers returns it differently."""
    seen: list[Tensor] = []
    handle = layer.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    try:
        yield seen
    finally:
        handle.remove()


def resolve_layer(layer: int | None, depth: int) -> int:
    """Return the layer to look at of the ``depth`` that a tower runs, from 0; the last one when None."""
    if layer is None:
        return depth - 1
    if not 0 <= layer < depth:
        raise PathPluginsError(
            f"the layer to look at must be in [0, {depth - 1}]: the tower runs {depth}, got {layer}; "
            "looks_ahead: true in vision_config keeps what the layer behind needs (clip, plip)"
        )
    return layer
