"""Cut the language model out of a model that also sees: a directory of its own in the cache, the rest left out."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pathplugins
from pathplugins.core.errors import CheckpointError
from pathplugins.core.files import read_json, write_json
from pathplugins.models.compose.cache import cached
from pathplugins.models.compose.language_model import check_known
from pathplugins.models.compose.shard_writer import ShardWriter
from pathplugins.models.compose.spec import digest, members, stamp
from pathplugins.models.custom_llava.tokenizer_files import is_tokenizer_file
from pathplugins.weights import Stored
from pathplugins.weights.compare import few
from pathplugins.weights.model_folder import folder_weights, weight_files
from pathplugins.weights.names.gemma3 import LEFT_OUT, language_name

logger = logging.getLogger(__name__)

TEXT_TYPES = {"gemma3": "gemma3_text"}
"""``model_type`` of a model that also sees -> that of its language model. MedGemma is a ``gemma3``."""


def text_part(llm: Path) -> Path:
    """Return a directory of the language model alone: ``llm`` itself, or what was cut out of it, once, in the cache.

    Raises:
        CheckpointError: A tensor belongs to no known part.
    """
    if not (llm / "config.json").is_file():
        return llm
    config = read_json(llm / "config.json")
    kind = config.get("model_type")
    if kind not in TEXT_TYPES or not isinstance(config.get("text_config"), dict):
        return llm
    check_known(llm, TEXT_TYPES[kind])  # before anything is copied
    if config.get("quantization_config") is not None:
        raise CheckpointError(f"{llm} is quantised; compose from the unquantised model and quantise when loading")

    def fill(out: Path) -> None:
        for path in llm.iterdir():
            if is_tokenizer_file(path) or path.name == "generation_config.json":
                shutil.copyfile(path, out / path.name)
        left = _write_weights(llm, out)
        write_json(out / "config.json", text_settings(config))  # last: it says done
        logger.warning(
            "%s is a %s: its language model is used alone; %d tensors of its own vision part are left out",
            *(llm, kind, left),
        )

    return cached(f"text-part-{digest(stamp(members(llm)))}-v{pathplugins.__version__}", fill)


def text_settings(config: dict[str, Any]) -> dict[str, Any]:
    """Return ``config.json`` of the language model of a model that also sees, by the latter's.

    Embedding and head are one unless either level of the file says otherwise, as in Transformers; type and special
    tokens may stand at the top alone.
    """
    text = dict(config["text_config"])
    kind = TEXT_TYPES[config["model_type"]]
    tied = [level["tie_word_embeddings"] for level in (config, text) if "tie_word_embeddings" in level]
    said = [level[name] for level in (text, config) for name in ("dtype", "torch_dtype") if level.get(name)]
    tokens = {name: config[name] for name in ("bos_token_id", "eos_token_id", "pad_token_id") if name in config}
    text.pop("dtype", None)
    return {
        **text,
        **tokens,
        **({"torch_dtype": said[0]} if said else {}),
        "architectures": ["Gemma3ForCausalLM"],
        "model_type": kind,
        "tie_word_embeddings": all(tied),
    }


def language_model_of(llm: Path) -> tuple[dict[str, Any], dict[str, Stored]]:
    """Return ``config.json`` and weights of the language model in a directory, whatever else lies there.

    Raises:
        CheckpointError: A tensor belongs to no known part.
    """
    config, stored = read_json(llm / "config.json"), folder_weights(llm).stored
    if config.get("model_type") not in TEXT_TYPES:
        return config, stored
    return text_settings(config), _language_model(llm, stored)


def _write_weights(llm: Path, out: Path) -> int:
    """Write the language model's tensors, and return how many others there were."""
    weight_files(llm)  # refuses other kinds of file with what to do
    stored = folder_weights(llm).stored
    chosen = _language_model(llm, stored)
    with ShardWriter(out) as writer:
        for name, value in chosen.items():
            writer.add(name, value.read())
    return len(stored) - len(chosen)


def _language_model(llm: Path, stored: Mapping[str, Stored]) -> dict[str, Stored]:
    named = {name: language_name(name) for name in stored}
    if strange := sorted(name for name, ours in named.items() if ours is None):
        raise CheckpointError(
            f"{llm}: {len(strange)} tensors belong neither to a language model nor to {' or '.join(LEFT_OUT)}: "
            f"{few(strange)}; give a text-only language model, or merge an adapter first"
        )
    return {ours: stored[name] for name, ours in named.items() if ours}
