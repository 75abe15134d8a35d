"""PA-LLaVA's connector as it is published: its names and shapes, written out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

Shapes = dict[str, tuple[int, ...]]
WIDTH, INNER, OUT = 24, 17, 64


def published_shapes(
    *,
    layers: int = 3,
    crossing: Sequence[int] = (0, 1, 2),
    depth: int = 1,
    width: int = WIDTH,
    inner: int = INNER,
    out: int = OUT,
) -> Shapes:
    """Parameters without a prefix; ``crossing``: the layers with cross-attention."""
    weights: Shapes = {}
    for n in range(layers):
        at = f"bert.encoder.layer.{n}"
        for kind in ("attention", "crossattention")[: 1 + (n in crossing)]:
            for name in ("self.query", "self.key", "self.value", "output.dense"):
                weights[f"{at}.{kind}.{name}"] = (width, width)
            weights[f"{at}.{kind}.output.LayerNorm"] = (width,)
        weights[f"{at}.intermediate_query.dense"] = (inner, width)
        weights[f"{at}.output_query.dense"] = (width, inner)
        weights[f"{at}.output_query.LayerNorm"] = (width,)
    weights["norm"] = (width,)
    for n in range(depth):
        weights[f"mlp.model.{2 * n}"] = (out, out if n else width)
    both = [(f"{name}.weight", shape) for name, shape in weights.items()]
    return dict(both + [(f"{name}.bias", shape[:1]) for name, shape in weights.items()])


def published_state(prefix: str = "projector.model.", **shape: object) -> dict[str, Tensor]:
    """Weights, and the buffer of position numbers that lies among them."""
    generator = torch.Generator().manual_seed(8)
    state = {name: torch.randn(size, generator=generator) * 0.4 for name, size in published_shapes(**shape).items()}
    state["bert.embeddings.position_ids"] = torch.arange(512)[None]
    return {prefix + name: value for name, value in state.items()}


@pytest.fixture(scope="session")
def shapes_of() -> Callable[..., Shapes]:
    return published_shapes


@pytest.fixture(scope="session")
def published() -> Callable[..., dict[str, Tensor]]:
    return published_state
