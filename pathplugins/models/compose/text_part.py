"""Cut the language model out of a model that also sees: a directory of its own in the cache, the rest left out."""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pathplugins
from pathplugins.core.errors import CheckpointError
from pathplugins.core.files import read_json, write_json
from pathplugins.models.compose.cache import cached
from pathplugins.models.compose.shard_writer import ShardWriter
from pathplugins.models.compose.spec import digest, members, stamp
from pathplugins.models.custom_llava.tokenizer_files import is_tokenizer_file
from pathplugins.weights import open_weights
from pathplugins.weights.compare import few
from pathplugins.weights.model_folder import weight_files

logger = logging.getLogger(__name__)

TEXT_TYPES = {"gemma3": "gemma3_text"}
"""``model_type`` of a model that also sees -> that of its language model. MedGemma is a ``gemma3``."""
LEFT_OUT = "vision_tower", "multi_modal_projector"
"""First parts of the names of what is not the language model."""

_LANGUAGE = re.compile(r"(?:model\.)?language_model\.(?:(model)\.)?(.+)")


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


def language_name(name: str) -> str | None:
    """Return a tensor's name in the language model alone; ``""`` if it belongs to the vision part, None to no part.

    Transformers up to 4.51 wrote ``language_model.model.*``, and since 4.52 some write ``model.language_model.*``.
    """
    bare = name.removeprefix("model.")
    if bare.startswith(tuple(f"{part}." for part in LEFT_OUT)):
        return ""
    if name in ("lm_head.weight", "language_model.lm_head.weight"):
        return "lm_head.weight"
    found = _LANGUAGE.fullmatch(name)
    return f"model.{found[2]}" if found and not found[2].startswith("lm_head.") else None


def _write_weights(llm: Path, out: Path) -> int:
    """Write the language model's tensors, and return how many others there were."""
    opened = {file: open_weights(file) for file in weight_files(llm)}
    named = {name: language_name(name) for weights in opened.values() for name in weights.names()}
    _refuse_strange(llm, [name for name, ours in named.items() if ours is None])
    with ShardWriter(out) as writer:
        for weights in opened.values():
            for name in weights.names():
                if ours := named[name]:
                    writer.add(ours, weights[name])
    return sum(ours == "" for ours in named.values())


def _refuse_strange(llm: Path, names: Iterable[str]) -> None:
    if names := sorted(names):
        raise CheckpointError(
            f"{llm}: {len(names)} tensors belong neither to a language model nor to {' or '.join(LEFT_OUT)}: "
            f"{few(names)}; give a text-only language model, or merge an adapter first"
        )
