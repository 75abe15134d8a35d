"""Make a tiny untrained language model with the special tokens of Llama 3: no download, for demos and tests."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

import pathplugins
from pathplugins.data import prompts
from pathplugins.models.compose.cache import cached

SPECIAL = (
    "<|begin_of_text|>",
    "<|end_of_text|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|reserved_special_token_0|>",
)


TINY = "tiny-untrained-llama"
"""As a language model's name: `tiny_llm`. For smoke runs and demos, never the fallback for a missing model."""


def tiny_llm() -> Path:
    """Return an untrained language model of two layers in the cache, its vocabulary fitted to our prompts."""
    from pathplugins.data.formats import drawn

    texts = [prompts.SYSTEM_PROMPT, prompts.PATCH_SYSTEM_PROMPT, prompts.REPORT_REQUEST, drawn.QUESTION]
    texts += [*prompts.PATCH_CAPTION_REQUESTS, *map(drawn.caption, drawn.KINDS)]

    def fill(out: Path) -> None:
        out.rmdir()
        build_tiny_llm(out, texts * 4, vocabulary=768, tied=False)

    return cached(f"{TINY}-v{pathplugins.__version__}", fill)


def build_tiny_llm(
    out: Path,
    texts: Iterable[str],
    *,
    model_type: str = "llama",
    hidden_size: int = 64,
    layers: int = 2,
    vocabulary: int = 512,
    tied: bool = True,
    seed: int = 0,
    **config: Any,
) -> Path:
    """Write an untrained language model and a byte-level tokenizer made for ``texts`` into ``out``.

    Args:
        out: new directory.
        texts: what the vocabulary is fitted to; any other text still encodes, byte by byte.
        model_type: family of the language model.
        hidden_size: H, a multiple of 16 (4 heads).
        layers: decoder layers.
        vocabulary: entries at most, special ones included.
        tied: share the input embedding with the head.
        seed: of the weights.
        **config: further entries of the model's configuration.
    """
    fast = _tokenizer(texts, vocabulary)
    settings = {
        "vocab_size": len(fast),
        "hidden_size": hidden_size,
        "intermediate_size": 2 * hidden_size,
        "num_hidden_layers": layers,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": hidden_size // 4,
        "max_position_embeddings": 4096,
        "tie_word_embeddings": tied,
        "bos_token_id": fast.bos_token_id,
        "eos_token_id": [fast.eos_token_id, fast.convert_tokens_to_ids("<|eot_id|>")],
        "pad_token_id": None,
        **config,
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(model_type, **settings))
        # A head of the usual std 0.02 on this width cannot say anything with confidence, and LoRA leaves it frozen.
        torch.nn.init.normal_(model.lm_head.weight, std=0.5)
    out.mkdir(parents=True)
    model.save_pretrained(out)
    fast.save_pretrained(out)
    return out


def _tokenizer(texts: Iterable[str], vocabulary: int) -> PreTrainedTokenizerFast:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=SPECIAL[0],
        eos_token=SPECIAL[1],
        model_max_length=4096,
        model_input_names=["input_ids", "attention_mask"],
    )
