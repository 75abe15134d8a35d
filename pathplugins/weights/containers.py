"""The entries of a checkpoint below which training scripts put the weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pathplugins.weights.stored import Stored

CONTAINERS = ("module", "state_dict", "model", "model_state_dict", "teacher", "student")
"""By precedence: DeepSpeed's, that of MMEngine, Lightning and MoCo, everybody's, that of many tutorials, DINO's two,
of which the teacher is the one its authors release."""


def unwrapped(content: Any) -> tuple[Any, str]:
    """Return the innermost container of a checkpoint and the dotted path to it, empty for the checkpoint itself.

    Args:
        content: the content of a file; a container may hold another (``{"state_dict": {"model": ...}}``), and counts as
            one only where there are tensors in it.
    """
    if isinstance(content, Mapping):
        for name in CONTAINERS:
            inner, path = unwrapped(content.get(name))
            if isinstance(inner, Mapping) and tensors_of(inner):
                return inner, f"{name}.{path}" if path else name
    return content, ""


def tensors_of(content: Mapping[Any, Any]) -> dict[str, Stored]:
    """Return the tensors of a dictionary by name, without whatever else it holds."""
    return {name: value for name, value in content.items() if isinstance(name, str) and isinstance(value, Stored)}
