"""Prefix-LM mask: prompt and vision tokens attend in both directions, the answer to what stands before it."""

from __future__ import annotations

import torch
from torch import Tensor


def prefix_lm_mask(attention_mask: Tensor | None, labels: Tensor | None, embeds: Tensor) -> Tensor:
    """Additive mask [B, 1, T, T] in the type of ``embeds`` [B, T, H].

    The prompt is all before the first label; without labels (generation) it is the whole input. Padding is never seen.
    """
    batch, length = embeds.shape[:2]
    valid = torch.ones(batch, length, device=embeds.device) if attention_mask is None else attention_mask
    valid = valid.bool()  # [B, T]
    prefix = valid if labels is None else (labels != -100).cumsum(1).eq(0) & valid  # [B, T]
    causal = torch.ones(length, length, dtype=torch.bool, device=embeds.device).tril()
    seen = (causal | (prefix[:, :, None] & prefix[:, None, :])) & valid[:, None, :]  # [B, T, T] (query, key)
    blocked = torch.finfo(embeds.dtype).min
    return torch.zeros(seen.shape, dtype=embeds.dtype, device=embeds.device).masked_fill(~seen, blocked)[:, None]
