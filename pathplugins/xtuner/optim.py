"""The optimizer of the configs, which knows the learning rates that the model marks.

Under ``--deepspeed`` XTuner keeps the optimizer of a config and drops its ``paramwise_cfg``, with which PA-LLaVA halves
the rate of its connector.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from pathplugins.core.errors import PathPluginsError
from pathplugins.models.learning_rates import by_learning_rate


def adamw_by_module(params: Iterable[nn.Parameter], lr: float, **options: Any) -> torch.optim.AdamW:
    """Make AdamW over the trained parameters, in one group per marked rate; for ``optimizer=dict(type=...)``.

    Args:
        params: all parameters of the model.
        lr: of unmarked parameters.
        **options: of `torch.optim.AdamW`.
    """
    groups = by_learning_rate((parameter for parameter in params if parameter.requires_grad), lr)
    if not groups:
        raise PathPluginsError("nothing to train: every module is frozen and there is no LoRA")
    return torch.optim.AdamW(groups, lr=lr, **options)
