"""Place a language model in a composed directory: its configuration, its shards as links, its tokenizer."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import CONFIG_MAPPING, AutoConfig, AutoModelForCausalLM, AutoTokenizer, PretrainedConfig

from pathplugins.core.errors import CheckpointError
from pathplugins.core.files import read_json
from pathplugins.models.custom_llava.tokenizer_files import copy_tokenizer_file, is_tokenizer_file, make_portable
from pathplugins.weights import open_weights
from pathplugins.weights.compare import few
from pathplugins.weights.model_folder import weight_files

RESERVED = (
    "<|reserved_special_token_0|>",
    "<|image_pad|>",
    "<|placeholder1|>",
    "<image_soft_token>",
    "<unused0>",
    "[control_8]",
    "<|extra_0|>",
)
"""Vocabulary entries that LLM authors left free: Llama 3, Qwen 2.5, Phi 3, Gemma 3, Gemma, Mistral 3, Qwen 1."""


def read_text_config(llm: Path) -> PretrainedConfig:
    """Return the configuration of a causal language model; one that cannot be composed is a `CheckpointError`."""
    if not (llm / "config.json").is_file():
        raise CheckpointError(
            f"{llm} holds no config.json; give the directory of a whole language model, not of an adapter"
        )
    try:
        config = AutoConfig.from_pretrained(llm, trust_remote_code=False)
    except ValueError:
        kind = read_json(llm / "config.json").get("model_type")
        if kind is not None:
            check_known(llm, kind)
        raise
    if not hasattr(config, "vocab_size") or not hasattr(config, "hidden_size"):
        raise CheckpointError(f"{llm}: {config.model_type} has parts besides a language model; give a text-only one")
    if getattr(config, "quantization_config", None) is not None:
        raise CheckpointError(f"{llm} is quantised; compose from the unquantised model and quantise when loading")
    return config


def check_known(llm: Path, kind: str) -> None:
    """Refuse a family of models that the Transformers of this environment does not have."""
    if kind not in CONFIG_MAPPING:
        raise CheckpointError(
            f"{llm}: Transformers {transformers.__version__} of this environment has no {kind}; train it in another "
            "trainer (Gemma 3 in LLaMA-Factory; XTuner pins a Transformers without it), or choose another model"
        )


def dtype_of(config: PretrainedConfig) -> torch.dtype:
    """Return the dtype of the weights as the configuration says; float32 where it does not."""
    said: Any = getattr(config, "dtype", None) or getattr(config, "torch_dtype", None) or torch.float32
    return getattr(torch, said) if isinstance(said, str) else said


def place_language_model(llm: Path, config: PretrainedConfig, out: Path, *, copy: bool) -> dict[str, list[str]]:
    """Link (or copy) the shards, and return file name -> keys; a model with missing weights is refused."""
    wanted = weights_of(llm, config)
    shards = {}
    for source in weight_files(llm):
        name = f"llm-{source.name}"
        shards[name] = open_weights(source).names()
        if copy:
            shutil.copyfile(source, out / name)
        else:
            (out / name).symlink_to(source.resolve())  # a hub cache links to blobs that have no suffix
    missing = sorted(wanted.keys() - {key for keys in shards.values() for key in keys})
    if missing:
        raise CheckpointError(
            f"{llm} lacks {len(missing)} of the {len(wanted)} weights of its own config.json: {few(missing)}; is the "
            "download complete?"
        )
    return {name: [key for key in keys if key in wanted] for name, keys in shards.items()}


def place_tokenizer(llm: Path, out: Path) -> tuple[str, int]:
    """Copy the tokenizer and choose the entry that stands for a vision token."""
    if not (llm / "tokenizer_config.json").is_file():
        raise CheckpointError(f"{llm} holds no tokenizer_config.json; finish the download")
    for path in filter(is_tokenizer_file, llm.iterdir()):
        copy_tokenizer_file(path, out)
    shutil.copyfile(llm / "config.json", out / "config.json")  # names the tokenizer where its own files do not
    make_portable(out)  # before it is read: Transformers 4 cannot read what 5 has saved
    tokenizer = AutoTokenizer.from_pretrained(out)
    token = next((name for name in RESERVED if _is_free(tokenizer, name)), None)
    if token is None:
        # The id may lie outside the embedding: the model never looks it up, so nothing has to be resized.
        token = "<image>"
        tokenizer.add_tokens([token], special_tokens=True)
        tokenizer.save_pretrained(out)
        make_portable(out)
    return token, tokenizer.convert_tokens_to_ids(token)


def weights_of(llm: Path, config: PretrainedConfig) -> dict[str, tuple[int, ...]]:
    """Return names and shapes of the weights that the model needs from its files."""
    try:
        with torch.device("meta"):
            state = AutoModelForCausalLM.from_config(config).state_dict()
    except ValueError as error:
        raise CheckpointError(f"{llm}: {config.model_type} is no causal language model of Transformers") from error
    wanted = {name: tuple(value.shape) for name, value in state.items()}
    if config.tie_word_embeddings:
        wanted.pop("lm_head.weight", None)
    strange = sorted(key for key in wanted if not key.startswith(("model.", "lm_head.")))
    if strange:
        raise CheckpointError(
            f"{llm}: a {config.model_type} language model names its weights {few(strange)}; only those with weights "
            "named model.* and lm_head.* are supported (Llama, Qwen, Mistral, Phi, Gemma and their kin)"
        )
    return wanted


def _is_free(tokenizer: Any, token: str) -> bool:
    """Return whether ``token`` is one entry wherever it stands in a text, and means nothing else to this model."""
    if token not in tokenizer.get_vocab():
        return False
    entry = tokenizer.convert_tokens_to_ids(token)
    in_use = (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id, tokenizer.unk_token_id)
    return (
        entry not in in_use and tokenizer(f"a{token}{token}b", add_special_tokens=False)["input_ids"].count(entry) == 2
    )
