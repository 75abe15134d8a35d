"""Names of ANTONI-Alpha's weights: its connector, and PEFT's names around a Gemma 3."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from pathplugins.core.errors import CheckpointError
from pathplugins.weights.compare import few
from pathplugins.weights.names.gemma3 import language_name
from pathplugins.weights.names.lora import Pair, lora_pairs
from pathplugins.weights.stored import Stored

CONNECTOR = "projection_layer."
_LANGUAGE_MODEL = "llm.base_model.model."
_SAVED = re.compile(r"\.modules_to_save\.[^.]+\.")
_BEFORE = re.compile(r"\.(?:base_layer|original_module)\.")

VISION, BASE = "of the vision part of the language model, which is never called", "of the base, which --llm gives"


@dataclass(kw_only=True)
class Parts:
    """The tensors of a checkpoint, sorted."""

    connector: dict[str, Stored] = field(default_factory=dict)
    """By the names of our connector ``latent_queries``."""
    lora: dict[str, Pair] = field(default_factory=dict)
    """Module of the language model (``model.layers.0.mlp.up_proj``) -> its LoRA."""
    saved: dict[str, Stored] = field(default_factory=dict)
    """Weights of the language model that were trained whole."""
    untouched: dict[str, Stored] = field(default_factory=dict)
    """Weights of the language model that were never trained nor quantised."""
    left_out: Counter[str] = field(default_factory=Counter)
    """Why -> how many."""


def parts_of(stored: Mapping[str, Stored], *, where: str) -> Parts:
    """Sort the tensors of a checkpoint.

    Args:
        stored: by the published names.
        where: the checkpoint, for messages.

    Raises:
        CheckpointError: A tensor belongs to no part, or one matrix of a LoRA is missing.
    """
    pairs, rest = lora_pairs(stored, where=where)
    parts, strange = Parts(), []
    for module, pair in pairs.items():
        ours = language_name(f"{module}.weight")
        if ours is None:
            strange.append(f"{module}.lora_A")
        elif ours:
            parts.lora[ours.removesuffix(".weight")] = pair
        else:
            parts.left_out[VISION] += 2
    for name, value in rest.items():
        if not _sorted(name, value, parts):
            strange.append(name)
    if strange:
        raise CheckpointError(
            f"{where}: {len(strange)} of its {len(stored)} tensors are neither ANTONI-Alpha's connector "
            f"({CONNECTOR}*) nor a Gemma 3's under LoRA ({_LANGUAGE_MODEL}*): {few(sorted(strange))}; is it of another "
            "model?"
        )
    return parts


def _sorted(name: str, value: Stored, parts: Parts) -> bool:
    """Put one tensor into its part; return whether it has one."""
    if name.startswith(CONNECTOR):
        parts.connector[name.removeprefix(CONNECTOR)] = value
        return True
    inner = name.removeprefix(_LANGUAGE_MODEL)
    whole = _SAVED.sub(".", inner)
    ours = language_name(_BEFORE.sub(".", whole))
    if inner == name or ours is None:
        return False
    if not ours:
        parts.left_out[VISION] += 1
    elif _BEFORE.search(inner):
        parts.left_out[BASE] += 1
    elif whole != inner:
        parts.saved[ours] = value
    else:
        parts.untouched[ours] = value
    return True
