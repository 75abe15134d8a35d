"""Prefix-LM mask: prompt and vision tokens attend in both directions, the answer to what stands before it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from pathplugins.core.errors import PathPluginsError
from pathplugins.models.custom_llava.packed_rows import IGNORED, additive, least, visible


def prefix_lm_mask(attention_mask: Tensor | None, labels: Tensor | None, embeds: Tensor) -> Tensor:
    """Return the additive mask [B, 1, T, T] in the type of ``embeds`` [B, T, H].

    The prompt is all before the first label; without labels (generation) it is the whole input. Padding is never seen.
    Where rows hold several samples, ``attention_mask`` is their numbers (`packed_rows`) and each has its own prompt.
    """
    batch, length = embeds.shape[:2]
    numbers = torch.ones(batch, length, device=embeds.device) if attention_mask is None else attention_mask
    numbers = numbers.long()  # [B, T]
    prefix = numbers.ne(0)
    if labels is not None:
        places = torch.arange(length, device=embeds.device).expand(batch, length)
        prefix = prefix & (places < least(places.masked_fill(labels.eq(IGNORED), length), numbers))  # [B, T]
    causal = torch.ones(length, length, dtype=torch.bool, device=embeds.device).tril()
    return additive((causal | (prefix[:, :, None] & prefix[:, None, :])) & visible(numbers), embeds)


def check_prefix_lm_mask(text_config: Any, labels: Tensor | None, length: int, *, training: bool) -> None:
    """Refuse a language model, or a training, under which the mask would not do what it says.

    Args:
        text_config: of the language model.
        labels: [B, T] given to ``forward``.
        length: T.
        training: whether a loss is taken.

    Raises:
        PathPluginsError: labels outside the model, an attention kernel without masks, or a window that is too short.
    """
    kernel = text_config._attn_implementation
    if training and labels is None:
        raise PathPluginsError(
            "use_prefix_lm_mask needs the labels in forward: a loss computed outside the model hides them"
        )
    if kernel not in ("sdpa", "eager"):
        raise PathPluginsError(
            f"use_prefix_lm_mask: {kernel} takes no such mask; set attn_implementation (flash_attn) to sdpa"
        )
    uses = getattr(text_config, "use_sliding_window", True)
    window = getattr(text_config, "sliding_window", None) if uses else None
    if window is not None and length > window:
        raise PathPluginsError(
            f"use_prefix_lm_mask: {length} tokens do not fit the LLM's window of {window}; lower cutoff_len"
        )
