"""Tokens that a run has added to a vocabulary: an adapter holds their rows, and the model it goes on has none yet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import read_json
from pathplugins.weights import open_weights

_WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")
_ROWS = ("embed_tokens.weight", "lm_head.weight")


def embedding_rows(adapter: Path) -> int | None:
    """Return the rows of the embedding that a LoRA adapter holds; None if it leaves the model's as it is."""
    path = next((adapter / name for name in _WEIGHTS if (adapter / name).is_file()), None)
    if path is None:
        return None
    weights = open_weights(path)
    names = (name for end in _ROWS for name in weights.names() if name.endswith(end))
    found = next(names, None)
    return None if found is None else weights.shape(found)[0]


def new_tokens(adapter: Path, model: Path) -> tuple[list[str], list[str]]:
    """Return the tokens that the tokenizer beside an adapter has and the model's lacks: plain ones, special ones."""
    known = {token["content"] for token in _added(model)}
    new = [token for token in _added(adapter) if token["content"] not in known]
    kinds = ([token["content"] for token in new if token["special"] is special] for special in (False, True))
    plain, special = kinds
    return plain, special


def take_over(model: Any, processor: Any, adapter: Path) -> None:
    """Give a model and its processor, in place, the vocabulary that an adapter was trained with.

    Args:
        model: as it was before the adapter's training.
        processor: of the model.
        adapter: directory of the adapter, with the tokenizer it was trained with.

    Raises:
        PathPluginsError: the tokenizer is not there.
    """
    rows = embedding_rows(adapter)
    if rows is None or rows == model.get_input_embeddings().weight.shape[0]:
        return
    if not _added(adapter):
        raise PathPluginsError(
            f"{adapter} was trained with new tokens ({rows} rows in its embedding) and has no tokenizer.json; copy "
            "that of its run's output_dir there"
        )
    from transformers import AutoTokenizer

    processor.tokenizer = AutoTokenizer.from_pretrained(adapter)
    model.resize_token_embeddings(rows, mean_resizing=False)  # the adapter has all rows


def _added(folder: Path) -> list[dict[str, Any]]:
    path = folder / "tokenizer.json"
    return read_json(path).get("added_tokens", []) if path.is_file() else []
