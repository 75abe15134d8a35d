"""Which weights decay, LARS, and learning rates that grow with the pictures of a step."""

from __future__ import annotations

from typing import Any

from torch import nn

from pathplugins.core.optional import need

MOMENTUM = 0.9  #: of LARS, as in BYOL
TRUST = 0.001  #: of LARS: share of a weight's norm that a step may move it, at a learning rate of 1


def decayed_names(model: nn.Module) -> list[str]:
    """Return the names of the weights that decay: matrices and kernels, but no norm, bias, token or position embedding.

    The shape decides, so that wrappers such as DistributedDataParallel, which prefix the names, change nothing.
    """
    kept = set()
    for name, module in model.named_modules():
        if callable(spared := getattr(module, "no_weight_decay", None)):  # timm's list: tokens, position embeddings
            kept |= {f"{name}.{inner}".lstrip(".") for inner in spared()}
    return [name for name, weight in model.named_parameters() if weight.ndim > 1 and name not in kept]


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Return the trained weights in two groups, with ``weight_decay`` and with none."""
    decayed = {*decayed_names(model)}
    trained = [(name, weight) for name, weight in model.named_parameters() if weight.requires_grad]
    return [
        {"params": [weight for name, weight in trained if name in decayed], "weight_decay": weight_decay},
        {"params": [weight for name, weight in trained if name not in decayed], "weight_decay": 0.0},
    ]


def lars(model: nn.Module, *, learning_rate: float, weight_decay: float) -> Any:
    """Return lightly's LARS, which neither decays nor rescales the group without weight decay: norms and biases."""
    groups = parameter_groups(model, weight_decay)
    optimiser = need("lightly.utils.lars", extra="patchtcga").LARS
    return optimiser(groups, lr=learning_rate, momentum=MOMENTUM, trust_coefficient=TRUST)


def scaled_rate(learning_rate: float, pictures: int, per: int | None) -> float:
    """Return ``learning_rate`` times the pictures of a step divided by ``per``; unchanged where ``per`` is None."""
    return learning_rate if per is None else learning_rate * pictures / per
