"""Names of the official WSI-LLaVA's weights: LLaVA's, with a vision tower nobody asks and an adapter's prefix."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypeVar

from pathplugins.weights.names.llava import part_of

BYPASSED = "model.vision_tower."
"""Beginning of the names of the CLIP that is built and saved, and that no slide goes through."""
ADAPTER = "base_model.model."
"""Before LLaVA's names in ``non_lora_trainables.bin``, as PEFT puts it."""

T = TypeVar("T")


class Sorted(NamedTuple):
    """Names of a checkpoint by what they are."""

    language: dict
    """The language model's, ``model.layers.*`` and so on."""
    connector: dict
    """By our names, ``linear_1.weight`` and so on."""
    bypassed: list[str]
    strange: list[str]
    """Of no known part."""


def sort_names(tensors: Mapping[str, T]) -> Sorted:
    """Sort tensors of a whole checkpoint, or of ``non_lora_trainables.bin``, by their part."""
    found = Sorted({}, {}, [], [])
    for name, value in tensors.items():
        bare = name.removeprefix(ADAPTER)
        part, ours = part_of(bare, "llava") or ("", "")
        if bare.startswith(BYPASSED):
            found.bypassed.append(name)
        elif part == "language model":
            found.language[ours] = value
        elif part == "connector":
            found.connector[ours] = value
        elif part != "nothing":
            found.strange.append(name)
    return found
