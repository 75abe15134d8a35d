"""The configuration of an ANTONI-Alpha checkpoint, read and judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pathplugins.core.errors import CheckpointError
from pathplugins.core.files import read_json

MODEL_TYPE = "antoni_alpha"
ALL_LINEAR = "all-linear"


@dataclass(frozen=True, kw_only=True)
class AntoniSettings:
    """What the checkpoint says of its parts; the defaults are those of the published class."""

    llm: str
    """Hub id of the language model."""
    projector: dict[str, Any]
    """Options of the connector ``latent_queries``."""
    scale: float
    """alpha / r of the LoRA."""
    rank: int
    saved: tuple[str, ...]
    """Modules of the language model that were trained whole."""
    leaves: tuple[str, ...] | None
    """Modules under LoRA; None: all linear layers."""


def read_settings(source: Path) -> AntoniSettings:
    """Return the settings of a checkpoint; one of another model, or of a LoRA that cannot be merged, is refused."""
    file = source / "config.json"
    if not file.is_file():
        raise CheckpointError(f"{source} holds no config.json; give the directory of SaltySander/ANTONI-Alpha")
    config = read_json(file)
    if (kind := config.get("model_type")) != MODEL_TYPE:
        raise CheckpointError(f"{file}: model_type is {kind!r}, expected {MODEL_TYPE!r}; give ANTONI-Alpha's directory")
    if (bias := config.get("lora_bias", "none")) != "none":
        raise CheckpointError(f"{file}: lora_bias is {bias!r}: trained biases cannot be merged; train with 'none'")
    rank = _number(config, "lora_r", 16, file)
    targets = config.get("lora_target_modules", ALL_LINEAR)
    return AntoniSettings(
        llm=str(config.get("llm_model_id", "google/medgemma-4b-it")),
        projector={
            "num_queries": _number(config, "projector_num_output_tokens", 256, file),
            "num_attention_heads": _number(config, "projector_num_query_heads", 8, file),
            "num_key_value_heads": _number(config, "projector_num_kv_heads", 8, file),
            "ffn_width": config.get("projector_ffn_hidden_dim"),
            "dropout": float(config.get("projector_dropout", 0.0)),
        },
        scale=_number(config, "lora_alpha", 16, file) / rank,
        rank=rank,
        saved=tuple(config.get("lora_modules_to_save") or ("lm_head", "embed_tokens")),
        leaves=None if targets == ALL_LINEAR else tuple(targets),
    )


def _number(config: Mapping[str, Any], name: str, default: int, file: Path) -> int:
    value = config.get(name, default)
    if not isinstance(value, int) or value < 1:
        raise CheckpointError(f"{file}: {name} is {value!r}, expected a positive integer; is the file its own?")
    return value
