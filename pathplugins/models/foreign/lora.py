"""Merge LoRA weights of another project's checkpoint into the language model they were trained on."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from torch import Tensor

from pathplugins.core.errors import CheckpointError
from pathplugins.weights import Stored
from pathplugins.weights.compare import few
from pathplugins.weights.names.lora import Pair

_IN_LAYER = re.compile(r"model\.layers\.\d+\..+\.(?P<leaf>[^.]+)\.weight")


@dataclass(frozen=True)
class Merged(Stored):
    """A weight with its LoRA added, ``W + scale * up @ down``, computed when read, in float32 or finer."""

    base: Stored
    pair: Pair
    scale: float

    def read(self) -> Tensor:
        """Return the sum, in the type of the weight."""
        return self.rows(0, self.shape[0])

    def rows(self, start: int, stop: int) -> Tensor:
        """Return rows of the sum, in the type of the weight."""
        weight, up, down = self.base.rows(start, stop), self.pair.up.rows(start, stop), self.pair.down.read()
        exact = weight if weight.element_size() == 8 else weight.float()
        return (exact + self.scale * (up.to(exact.dtype) @ down.to(exact.dtype))).to(weight.dtype)


def merged(
    tensors: Mapping[str, Stored],
    pairs: Mapping[str, Pair],
    *,
    scale: float,
    where: str,
    leaves: Collection[str] | None = None,
) -> dict[str, Stored]:
    """Return the language model's weights with the LoRA of its linear layers merged.

    Args:
        tensors: weights of the language model, ``model.layers.0.self_attn.q_proj.weight`` and so on.
        pairs: module -> its LoRA.
        scale: alpha / r.
        where: the checkpoint with the LoRA, for messages.
        leaves: last parts of the names of the modules that every layer has a LoRA for; None: all linear layers.

    Raises:
        CheckpointError: A layer lacks a LoRA, or one is for a module that the language model does not have so.
    """
    linears = {
        name.removesuffix(".weight")
        for name, value in tensors.items()
        if len(value.shape) == 2
        and (match := _IN_LAYER.fullmatch(name))
        and (leaves is None or match["leaf"] in leaves)
    }
    missing, more = sorted(linears - pairs.keys()), sorted(pairs.keys() - linears)
    if missing or more:
        raise CheckpointError(
            f"{where}: LoRA of {len(pairs)} modules for a language model with {len(linears)} to adapt: {len(missing)} "
            f"missing ({few(missing) or 'none'}), {len(more)} unexpected ({few(more) or 'none'}); weights are taken "
            "whole or not at all: is the download complete, and --llm the model it was trained on?"
        )
    result = dict(tensors)
    for module, pair in pairs.items():
        base = tensors[f"{module}.weight"]
        if base.shape != (pair.up.shape[0], pair.down.shape[1]):
            raise CheckpointError(
                f"{where}: the LoRA of {module} is for {(pair.up.shape[0], pair.down.shape[1])}, --llm has "
                f"{base.shape}; give the language model it was trained on"
            )
        result[f"{module}.weight"] = Merged(base.dtype, base.shape, base, pair, scale)
    return result
