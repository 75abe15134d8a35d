"""The tiny language model is a whole one, and the same each time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from pathplugins.models.compose.tiny_llm import build_tiny_llm


@pytest.mark.parametrize("family", ["llama", "qwen2", "gemma2"])
def test_it_loads_and_speaks(make_llm: Callable[..., Path], family: str) -> None:
    llm = make_llm(model_type=family)
    tokenizer, model = AutoTokenizer.from_pretrained(llm), AutoModelForCausalLM.from_pretrained(llm)
    assert model.config.model_type == family
    text = "Größe: 3 µm, unseen words"
    ids = tokenizer(text, add_special_tokens=False, return_tensors="pt")
    assert tokenizer.decode(ids["input_ids"][0]) == text
    assert (
        model.generate(**ids, max_new_tokens=3, min_new_tokens=3, pad_token_id=1).shape[1]
        == ids["input_ids"].shape[1] + 3
    )


def test_the_seed_decides_the_weights_and_nothing_else_does(make_llm: Callable[..., Path], tmp_path: Path) -> None:
    torch.manual_seed(9)
    again = build_tiny_llm(tmp_path / "again", ["What is the dominant tissue? The slide shows invasive carcinoma."] * 3)
    other = build_tiny_llm(tmp_path / "other", ["What is the dominant tissue?"], seed=1)
    weights = [(path / "model.safetensors").read_bytes() for path in (make_llm(), again, other)]
    assert weights[0] == weights[1] != weights[2]
