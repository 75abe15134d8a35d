"""Embedding and head that were one: saved as two once they were trained apart, and as one otherwise."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from pathplugins.models.custom_llava.configuration_custom_llava import CustomLlavaConfig

IDS = torch.tensor([[3, 30, 40, 50]])


def test_merged_lora_that_trained_both_keeps_both(vlm: Path, load: Callable[..., Any], tmp_path: Path) -> None:
    """With the configuration as it was, older Transformers and vLLM take the embedding for the head."""
    peft = pytest.importorskip("peft")
    model = load(vlm)
    assert model.config.tie_word_embeddings
    config = peft.LoraConfig(r=2, target_modules=["up_proj"], modules_to_save=["embed_tokens", "lm_head"])
    tuned = peft.get_peft_model(model, config).eval()
    with torch.no_grad():
        for name, value in tuned.named_parameters():
            if ".modules_to_save." in name:
                value.add_(torch.randn(value.shape, generator=torch.Generator().manual_seed(len(name))) * 0.1)
        wanted = tuned(input_ids=IDS).logits
        merged = tuned.merge_and_unload()
        merged.save_pretrained(tmp_path)
    told = CustomLlavaConfig.from_pretrained(tmp_path)
    assert told.tie_word_embeddings is told.text_config.tie_word_embeddings is False
    torch.testing.assert_close(load(tmp_path)(input_ids=IDS).logits, wanted, atol=1e-5, rtol=1e-4)


def test_what_is_one_stays_one(vlm: Path, load: Callable[..., Any], tmp_path: Path) -> None:
    load(vlm).save_pretrained(tmp_path)
    assert CustomLlavaConfig.from_pretrained(tmp_path).text_config.tie_word_embeddings is True
    again = load(tmp_path)
    assert again.lm_head.weight is again.model.embed_tokens.weight
