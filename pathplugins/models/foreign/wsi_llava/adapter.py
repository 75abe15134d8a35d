"""Read the directory of a LoRA run of LLaVA: its LoRA, and what was trained beside it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple

from pathplugins.core.errors import CheckpointError
from pathplugins.core.files import read_json
from pathplugins.weights import Stored
from pathplugins.weights.compare import few
from pathplugins.weights.file import file_weights
from pathplugins.weights.names.lora import Pair, lora_pairs

SETTINGS = "adapter_config.json"
FILES = ("adapter_model.safetensors", "adapter_model.bin")
BESIDE = "non_lora_trainables.bin"
_PLAIN: dict[str, tuple[Any, ...]] = {
    "use_dora": (None, False),
    "bias": (None, "none"),
    "rank_pattern": (None, {}),
    "alpha_pattern": (None, {}),
    "modules_to_save": (None, []),
    "layers_to_transform": (None,),
    "fan_in_fan_out": (None, False),
}
"""Setting of PEFT -> its values with which a LoRA is ``W + scale * B A`` in every chosen layer."""


class Adapter(NamedTuple):
    """A LoRA, and the weights trained beside it."""

    pairs: dict[str, Pair]
    scale: float
    rank: int
    leaves: tuple[str, ...] | None
    """Last parts of the names of the modules that have a LoRA; None: all linear layers."""
    base: str
    """The model it was trained on, as the adapter names it."""
    beside: dict[str, Stored]


def is_adapter(folder: Path) -> bool:
    """Return whether a directory holds a LoRA."""
    return (folder / SETTINGS).is_file()


def read_adapter(folder: Path) -> Adapter:
    """Read the files of a LoRA run, of which nothing but names and shapes is read yet.

    Raises:
        CheckpointError: A file is missing, or the LoRA is of a kind that is not added to a weight.
    """
    settings = read_json(folder / SETTINGS)
    other = [f"{name} is {settings[name]!r}" for name, plain in _PLAIN.items() if settings.get(name) not in plain]
    if other:
        raise CheckpointError(
            f"{folder / SETTINGS}: {', '.join(other)}; a plain LoRA is read, merge it with PEFT first"
        )
    weights = next((folder / name for name in FILES if (folder / name).is_file()), None)
    if weights is None or not (folder / BESIDE).is_file():
        lacks = BESIDE if weights else " or ".join(FILES)
        raise CheckpointError(f"{folder} holds {SETTINGS} and no {lacks}; finish the download")
    pairs, rest = lora_pairs(file_weights(weights).stored, where=str(weights))
    rank, alpha = (settings.get(name) for name in ("r", "lora_alpha"))
    if not pairs or rest or not isinstance(rank, int) or not isinstance(alpha, int | float):
        raise CheckpointError(
            f"{weights}: LoRA of {len(pairs)} modules, {len(rest)} other tensors ({few(rest) or 'none'}), r {rank}, "
            f"lora_alpha {alpha}; wanted a LoRA alone, and both numbers in {SETTINGS}"
        )
    if other := sorted({pair.rank for pair in pairs.values()} - {rank}):
        raise CheckpointError(f"{weights}: LoRA of rank {other}, {SETTINGS} says {rank}; do both belong together?")
    leaves = settings.get("target_modules")
    return Adapter(
        pairs=pairs,
        scale=alpha / (math.sqrt(rank) if settings.get("use_rslora") else rank),
        rank=rank,
        leaves=tuple(name.rpartition(".")[2] for name in leaves) if isinstance(leaves, list) else None,
        base=str(settings.get("base_model_name_or_path") or "llava-v1.5-7b"),
        beside=file_weights(folder / BESIDE).stored,
    )
