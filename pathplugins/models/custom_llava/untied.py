"""Embedding and head that were one and were trained apart: the configuration has to say so, or half of them is lost."""

from __future__ import annotations

from typing import Any

import torch


def note_untied(model: Any) -> None:
    """Let the configuration say that embedding and head are two, where it says one and their values differ.

    LoRA that trains both whole (``additional_target: embed_tokens,lm_head``) makes two of one. Loaders that go by the
    configuration would then take the embedding for the head, without a word: Transformers 4, vLLM.

    Args:
        model: a `custom_llava` model, about to be saved.
    """
    levels = (model.config, model.config.text_config)  # a PEFT that merges corrects the first alone, if any
    if not any(level.tie_word_embeddings for level in levels):
        return
    embedding, head = (part.weight for part in (model.get_input_embeddings(), model.get_output_embeddings()))
    if embedding is head or embedding.shape != head.shape or torch.equal(embedding, head):
        return
    for level in levels:
        level.tie_word_embeddings = False
    model._tied_weights_keys = None
