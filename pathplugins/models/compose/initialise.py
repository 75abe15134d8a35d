"""First weights of a part that no checkpoint brings."""

from __future__ import annotations

from torch import nn


def initialise(part: nn.Module) -> None:
    """Weights that keep the variance of what passes through, and whatever the part itself resets."""
    for module in part.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=module.in_features**-0.5)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    getattr(part, "reset_parameters", lambda: None)()
