"""Activation checkpointing of frozen layers that gradients pass through."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn


def checkpoint_frozen_layers_too(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``function``, which checkpoints a layer, changed to checkpoint a frozen one if gradients pass through it.

    LLaMA-Factory skips layers without trainable parameters. With a frozen language model and a trained connector that
    keeps every activation of the LLM; its undecorated function is reachable as ``__wrapped__``. A layer that no
    gradient passes through is run plainly: there is nothing to recompute.
    """
    plain = getattr(function, "__wrapped__", function)

    def run(layer: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        owner = _owner(layer)
        if owner is None or any(parameter.requires_grad for parameter in owner.parameters()):
            return function(layer, *args, **kwargs)
        if any(isinstance(value, Tensor) and value.requires_grad for value in args):
            return plain(layer, *args, **kwargs)
        return layer(*args, **kwargs)

    return run


def _owner(layer: Callable[..., Any]) -> nn.Module | None:
    """Return the module whose call is checkpointed: of a bound method, or of its function with the module bound."""
    owner = getattr(getattr(layer, "func", layer), "__self__", None)
    bound = getattr(layer, "args", ())  # of a partial; so from Transformers 5.24 on
    return next((part for part in (owner, *bound[:1]) if isinstance(part, nn.Module)), None)
