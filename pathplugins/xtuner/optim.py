"""The optimizer of the configs, which knows the learning rates that the model marks, and what is not to decay.

Under ``--deepspeed`` XTuner keeps the optimizer of a config and drops its ``paramwise_cfg``, with which PA-LLaVA halves
the rate of its connector.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.registry import unknown
from pathplugins.models.learning_rates import by_learning_rate


def adamw_by_module(params: Iterable[nn.Parameter], lr: float, **options: Any) -> torch.optim.AdamW:
    """Make AdamW over the trained parameters, in one group per marked rate; for ``optimizer=dict(type=...)``.

    With a ``weight_decay``, biases and the weights of norms are groups of their own that do not decay, as in the
    Trainer of Transformers, with which the recipes were published.

    Args:
        params: all parameters of the model.
        lr: of unmarked parameters.
        **options: of `torch.optim.AdamW`.
    """
    known = [name for name in inspect.signature(torch.optim.AdamW).parameters if name not in ("params", "lr")]
    if problems := [unknown("option", name, ["lr", *known]) for name in options if name not in known]:
        raise PathPluginsError(f"optim_wrapper.optimizer: {'; '.join(problems)}; correct the config")
    groups = by_learning_rate((parameter for parameter in params if parameter.requires_grad), lr)
    if not groups:
        raise PathPluginsError("nothing to train: every module is frozen and there is no LoRA")
    if options.get("weight_decay", _DEFAULT_DECAY):
        groups = [part for group in groups for part in _by_decay(group)]
    return torch.optim.AdamW(groups, lr=lr, **options)


_DEFAULT_DECAY = 0.01  # of torch.optim.AdamW


def _by_decay(group: dict[str, Any]) -> list[dict[str, Any]]:
    """Divide a group into what decays and what does not, without empty ones."""
    held = {kept: [p for p in group["params"] if _is_bias_or_norm(p) == kept] for kept in (False, True)}
    parts = [{**group, "params": held[False]}, {**group, "params": held[True], "weight_decay": 0.0}]
    return [part for part in parts if part["params"]]


def _is_bias_or_norm(parameter: nn.Parameter) -> bool:
    """Whether a parameter is a bias or the weight of a norm: one number for each feature; a single one is neither."""
    shape = getattr(parameter, "ds_shape", parameter.shape)  # ZeRO-3 leaves an empty tensor behind
    return len(shape) == 1 and shape[0] > 1
