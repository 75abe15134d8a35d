"""What each recipe minimises, and what it shows on the way."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from pathplugins.classify.networks.byol import byol_loss
from pathplugins.classify.recipes import Recipe

Objective = Callable[[nn.Module, Tensor, Tensor], tuple[Tensor, dict[str, Tensor]]]
"""Network, normalised pixels and labels -> the loss, and further numbers to log, without gradient."""


def objective_of(recipe: Recipe) -> Objective:
    """Return what a recipe minimises."""
    return _byol if recipe.self_supervised else _cross_entropy


def _cross_entropy(network: nn.Module, pixels: Tensor, labels: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Compare logits with labels ``[B]``, or with masks ``[B, S, S]`` at every pixel."""
    logits = network(pixels).float()  # [B, K] or [B, K, S, S]
    return cross_entropy(logits, labels), {"accuracy": _accuracy(logits, labels)}


def _byol(network: nn.Module, pixels: Tensor, labels: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Compare two views ``[B, 2, 3, S, S]`` with each other; the classifier's loss reaches the classifier alone."""
    outputs = network(*pixels.unbind(1))
    alike = byol_loss(outputs["predictions"], outputs["targets"])
    logits, both = outputs["logits"].float(), labels.repeat(2)  # [2 B, K], [2 B]
    watched = cross_entropy(logits, both)
    shown = {"byol_loss": alike, "online_loss": watched, "online_accuracy": _accuracy(logits, both)}
    return alike + watched, {name: value.detach() for name, value in shown.items()}


def _accuracy(logits: Tensor, labels: Tensor) -> Tensor:
    return (logits.argmax(1) == labels).float().mean()
