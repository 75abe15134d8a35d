"""Initialise a part for which no checkpoint has weights."""

from __future__ import annotations

from torch import nn


def initialise(part: nn.Module) -> None:
    """Set weights that keep the variance of their input, then let the part reset what it has rules for."""
    for module in part.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=module.in_features**-0.5)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    getattr(part, "reset_parameters", lambda: None)()
