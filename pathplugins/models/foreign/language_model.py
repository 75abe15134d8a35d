"""Write the language model of another project's checkpoint as a directory of its own, shard by shard."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from pathplugins.core.errors import CheckpointError
from pathplugins.core.files import write_json
from pathplugins.models.compose.language_model import read_text_config, weights_of
from pathplugins.models.compose.shard_writer import SHARD_BYTES, ShardWriter
from pathplugins.models.custom_llava.rope import legacy_rope
from pathplugins.models.custom_llava.tokenizer_files import copy_tokenizer_file, is_tokenizer_file
from pathplugins.weights import Stored
from pathplugins.weights.compare import few

EMBEDDING = "model.embed_tokens.weight"
VOCABULARY = (EMBEDDING, "lm_head.weight")
"""Weights with a row for each entry of the vocabulary."""


def write_language_model(
    source: Path,
    text: Mapping[str, Any],
    tensors: Mapping[str, Stored],
    llm: Path,
    *,
    tokenizer: Path,
    vocabulary: int | None = None,
    shard_bytes: int = SHARD_BYTES,
) -> str:
    """Write the new directory ``llm``, and return the type of its weights.

    Args:
        source: the checkpoint, for messages.
        text: ``config.json`` of the language model alone.
        tensors: its weights by Transformers' names, read one by one.
        llm: where.
        tokenizer: directory with the tokenizer and the settings of generation.
        vocabulary: rows of the embedding that are the language model's own, where some were added; None: all.
        shard_bytes: of a shard, at most.

    Raises:
        CheckpointError: Weights are missing, left over, or of another shape than ``text`` says.
    """
    if EMBEDDING not in tensors:
        raise CheckpointError(
            f"{source} holds no {EMBEDDING}: no language model; is it an adapter or a connector alone?"
        )
    dtype = tensors[EMBEDDING].dtype
    settings: dict[str, Any] = {name: value for name, value in text.items() if name != "dtype"}
    settings["torch_dtype"] = dtype
    if vocabulary is not None:
        settings["vocab_size"] = vocabulary
    llm.mkdir()
    write_json(llm / "config.json", legacy_rope(settings))
    for path in tokenizer.iterdir():
        if is_tokenizer_file(path) or path.name == "generation_config.json":
            copy_tokenizer_file(path, llm)
    wanted = weights_of(source, read_text_config(llm))
    _whole(source, wanted, tensors)
    with ShardWriter(llm, shard_bytes=shard_bytes) as writer:
        for name in (name for name in tensors if name in wanted):
            value = tensors[name].read()
            if vocabulary is not None and name in VOCABULARY:
                value = value[:vocabulary].clone()
            _fits(source, name, value, wanted[name])
            writer.add(name, value)
    return dtype


def _whole(source: Path, wanted: Iterable[str], found: Iterable[str]) -> None:
    wanted, found = set(wanted), set(found)
    missing = sorted(wanted - found)
    more = sorted(found - wanted - {"lm_head.weight"})  # one that is tied may lie there all the same
    if missing or more:
        raise CheckpointError(
            f"{source}: of its language model {len(found)} tensors were read, {len(wanted)} wanted: {len(missing)} "
            f"missing ({few(missing) or 'none'}), {len(more)} unexpected ({few(more) or 'none'}); weights are taken "
            "whole or not at all: is the download complete, and config.json its own?"
        )


def _fits(source: Path, name: str, value: Tensor, shape: tuple[int, ...]) -> None:
    if tuple(value.shape) != shape:
        raise CheckpointError(
            f"{source}: {name} is {tuple(value.shape)}, wanted {shape}; is config.json that of another model?"
        )
