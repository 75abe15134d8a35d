"""Learning rates per module, as marks on the weights that whoever builds the optimizer reads."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from torch import nn

from pathplugins.core.errors import PathPluginsError
from pathplugins.models.unloaded import naming_nothing

MARK = "lr_mult"
"""Attribute of a parameter: its learning rate over that of the run."""


def mark_learning_rates(model: nn.Module, multipliers: Mapping[str, float]) -> None:
    """Mark the trained parameters whose name holds a key of ``multipliers`` (the first that fits)."""
    check_factors(multipliers)
    unused = set(multipliers)
    for name, parameter in model.named_parameters():
        key = next((key for key in multipliers if key in name), None)
        if key is not None and parameter.requires_grad:
            setattr(parameter, MARK, multipliers[key])
            unused.discard(key)
    _refuse(unused)


def check_names(multipliers: Mapping[str, float], names: Iterable[str]) -> None:
    """Raise, before a model is loaded, when a key of ``multipliers`` names none of its weights.

    Args:
        multipliers: part of a weight's name -> factor.
        names: of the weights that may be trained, nothing put around them.
    """
    _refuse(naming_nothing(multipliers, names))


def _refuse(unused: Iterable[str]) -> None:
    if unused:
        raise PathPluginsError(f"lr_mult: no trained weight has {sorted(unused)} in its name; correct or unfreeze")


def check_factors(multipliers: Mapping[str, float]) -> None:
    """Raise when a factor is no positive number."""
    for key, factor in multipliers.items():
        if isinstance(factor, bool) or not isinstance(factor, int | float) or not factor > 0:
            raise PathPluginsError(f"lr_mult of {key!r} is {factor}; freeze the module instead of a rate of zero")


def by_learning_rate(params: Iterable[nn.Parameter], lr: float) -> list[dict[str, Any]]:
    """Return one optimizer group per marked rate, the unmarked first: its rate is the one that is logged.

    Args:
        params: what one group would hold.
        lr: of unmarked parameters.
    """
    groups: dict[float, list[nn.Parameter]] = defaultdict(list)
    for parameter in params:
        groups[getattr(parameter, MARK, 1.0)].append(parameter)
    ordered = sorted(groups.items(), key=lambda item: (item[0] != 1.0, item[0]))
    return [{"params": members, "lr": lr * factor} for factor, members in ordered]
