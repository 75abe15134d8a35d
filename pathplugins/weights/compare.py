"""Differences of two sets of weights, in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from pathplugins.weights.mapping import Weights

if TYPE_CHECKING:
    from torch import Tensor


def mismatch(wanted: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> str:
    """Return how two state dicts differ in names and shapes, in one clause; empty when they do not."""
    shapes, got = _shapes(wanted), _shapes(found)
    problems = {
        "missing": sorted(shapes.keys() - got.keys()),
        "unexpected": sorted(got.keys() - shapes.keys()),
        "of another shape": [
            f"{name} is {got[name]}, wanted {shapes[name]}"
            for name in sorted(shapes.keys() & got.keys())
            if shapes[name] != got[name]
        ],
    }
    return "; ".join(f"{len(names)} {kind}: {few(names)}" for kind, names in problems.items() if names)


def few(names: Iterable[str]) -> str:
    """Return the first five names of a list, with an ellipsis where there are more."""
    names = list(names)
    return ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")


def _shapes(state: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    if isinstance(state, Weights):
        return {name: state.shape(name) for name in state}
    return {name: tuple(value.shape) for name, value in state.items()}
