"""Low-rank weights that are trained together with the weights they are added to, each at a rate of its own.

PEFT freezes what it adapts and saves the adapter alone, so that training both, as PathoSynVLM does, would lose one of
them. Here the pair is part of the model: trainers see weights like any other (``finetuning_type: full``, ``lr_mult``),
and every checkpoint holds them all. With a rate of its own the pair is no mere detour: a step of weight decay, Adam or
clipping moves ``W`` and ``up @ down`` differently.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AutoModelForCausalLM

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.nearest import nearest
from pathplugins.models.custom_llava.config_keys import refuse_unknown

NAME = "joint_lora"
"""Key of the configuration, and part of the names of the weights: ``...q_proj.joint_lora.down``."""
FILE = "joint_lora.safetensors"
"""First weights, in a model directory."""
DEFAULTS: dict[str, Any] = {
    "rank": 16,
    "alpha": 32.0,
    "dropout": 0.05,
    "target": ["q_proj", "k_proj", "v_proj", "o_proj"],
}


class LowRank(nn.Module):
    """``alpha / rank * up(down(dropout(x)))``, which is 0 at first (LoRA, arXiv:2106.09685).

    Args:
        in_features: C.
        out_features: H.
        rank: R.
        alpha: see the formula.
        dropout: of the input, while training.
    """

    def __init__(self, in_features: int, out_features: int, *, rank: int, alpha: float, dropout: float) -> None:
        super().__init__()
        self.scale, self.dropout = alpha / rank, nn.Dropout(dropout)
        self.down = nn.Parameter(torch.zeros(rank, in_features))
        self.up = nn.Parameter(torch.zeros(out_features, rank))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw ``down`` and set ``up`` to 0."""
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))
        nn.init.zeros_(self.up)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[..., C]`` to ``[..., H]``."""
        wide = F.linear(self.dropout(x).to(self.down.dtype), self.down)  # [..., R]
        return (F.linear(wide, self.up) * self.scale).to(x.dtype)


class JointLinear(nn.Linear):
    """A linear layer with a `LowRank` beside it, under the names that the layer has without."""

    joint_lora: LowRank

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[..., C]`` to ``[..., H]``."""
        return F.linear(x, self.weight, self.bias) + self.joint_lora(x)


def resolve_joint_lora(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return all options, defaults included, judged.

    Raises:
        PathPluginsError: an option is unknown or out of range.
    """
    refuse_unknown(options, DEFAULTS, NAME)
    resolved = {**DEFAULTS, **options}
    target = resolved["target"]
    if isinstance(target, str) or not isinstance(target, Sequence) or not target:
        raise PathPluginsError(f"{NAME}: target is {target!r}, expected a list of names such as {DEFAULTS['target']}")
    for key, least in (("rank", 1), ("alpha", 0), ("dropout", 0)):
        value = resolved[key]
        number = isinstance(value, int) or (isinstance(value, float) and key != "rank")
        if isinstance(value, bool) or not number or value < least or (key == "dropout" and value >= 1):
            raise PathPluginsError(f"{NAME}: {key} is {value!r}, expected a number such as {DEFAULTS[key]}")
    return resolved


def add_joint_lora(model: nn.Module, options: Mapping[str, Any]) -> None:
    """Put low-rank weights beside the linear layers of a language model that ``target`` names, in place.

    Raises:
        PathPluginsError: an option is wrong, or a name of ``target`` finds no linear layer.
    """
    resolved = resolve_joint_lora(options)
    targets = resolved.pop("target")
    layers = {name: part for name, part in model.named_modules() if isinstance(part, nn.Linear)}
    ends = {name.rpartition(".")[2] for name in layers}
    if absent := sorted(set(targets) - ends):
        near = nearest(absent[0], ends)
        hint = f"; did you mean {near}?" if near else ""
        raise PathPluginsError(
            f"{NAME}: no linear layer of the language model is called {absent[0]!r}{hint} It has {sorted(ends)}"
        )
    for name, layer in layers.items():
        if name.rpartition(".")[2] in targets:
            layer.joint_lora = LowRank(layer.in_features, layer.out_features, **resolved)
            layer.__class__ = JointLinear  # the weights stay where they are: under ZeRO-3 they are shards by now


def fresh_joint_lora(text_config: Any, options: Mapping[str, Any], *, seed: int) -> dict[str, Tensor]:
    """Return first low-rank weights of a language model by their names in a `custom_llava`, float32.

    They are written beside the language model's: Transformers would let the language model draw what a checkpoint
    lacks, and it does not know these.

    Args:
        text_config: configuration of the language model.
        options: see `resolve_joint_lora`.
        seed: of the draw.
    """
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(text_config).model
        add_joint_lora(model, options)
    state = {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for name, part in model.named_modules():
            if isinstance(part, LowRank):
                part.to_empty(device="cpu").reset_parameters()
                state |= {f"model.{name}.{key}": value.float() for key, value in part.state_dict().items()}
    return state
