"""Names of LoRA weights as PEFT saves them: the module each pair belongs to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from pathplugins.core.errors import CheckpointError
from pathplugins.weights.compare import few
from pathplugins.weights.stored import Stored

_LORA = re.compile(r"(?:.*?)base_model\.model\.(?P<module>.+)\.lora_(?P<side>[AB])(?:\.default)?\.weight")


class Pair(NamedTuple):
    """The two matrices that are added to the weight of one linear layer, ``scale * up @ down``."""

    down: Stored
    """``lora_A``, [r, in]."""
    up: Stored
    """``lora_B``, [out, r]."""

    @property
    def rank(self) -> int:
        """Return r."""
        return self.down.shape[0]


def lora_pairs(stored: Mapping[str, Stored], *, where: str) -> tuple[dict[str, Pair], dict[str, Stored]]:
    """Return module -> its pair, and everything that is no LoRA; ``base_model.model.`` is taken off the modules.

    Raises:
        CheckpointError: A module has one matrix alone, or the shapes of two do not go together.
    """
    sides: dict[str, dict[str, Stored]] = {}
    rest = {}
    for name, value in stored.items():
        if match := _LORA.fullmatch(name):
            sides.setdefault(match["module"], {})[match["side"]] = value
        else:
            rest[name] = value
    half = sorted(module for module, found in sides.items() if found.keys() != {"A", "B"})
    if half:
        raise CheckpointError(
            f"{where}: {len(half)} of {len(sides)} modules have one of lora_A and lora_B alone: {few(half)}; it is not "
            "whole, download it again"
        )
    pairs = {module: Pair(down=found["A"], up=found["B"]) for module, found in sides.items()}
    odd = [
        f"{module}: {pair.down.shape} and {pair.up.shape}"
        for module, pair in pairs.items()
        if len(pair.down.shape) != 2 or len(pair.up.shape) != 2 or pair.up.shape[1] != pair.rank
    ]
    if odd:
        raise CheckpointError(f"{where}: {len(odd)} pairs of lora_A and lora_B do not go together: {few(odd)}")
    return pairs, rest
