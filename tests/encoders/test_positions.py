"""Resizing of position embeddings against the formula of cubic interpolation, and against timm's."""

from __future__ import annotations

import math

import pytest

from pathplugins.encoders.positions import grid_side, resized_positions
from pathplugins.published.encoder_card import Positions

torch = pytest.importorskip("torch")
timm = pytest.importorskip("timm")


def cubic(offset: float) -> float:
    """Weight of a point at ``offset``, by Keys' cubic with -0.75, that of PyTorch and OpenCV."""
    x, a = abs(offset), -0.75
    if x <= 1:
        return ((a + 2) * x - (a + 3)) * x * x + 1
    return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a if x < 2 else 0.0


def along(old: int, new: int, scale: float) -> torch.Tensor:
    """Weights ``[new, old]`` of old points for new ones, the outermost repeated beyond the edge."""
    weights = torch.zeros(new, old, dtype=torch.float64)
    for i in range(new):
        at = (i + 0.5) / scale - 0.5
        for j in range(math.floor(at) - 1, math.floor(at) + 3):
            weights[i, min(max(j, 0), old - 1)] += cubic(at - j)
    return weights


@pytest.mark.parametrize(("old", "new"), [(3, 7), (7, 3), (5, 6)])
@pytest.mark.parametrize(("rule", "more"), [("dino", 0.1), ("plain", 0.0)])
def test_values_are_those_of_the_formula(old: int, new: int, rule: Positions, more: float) -> None:
    embeddings = torch.randn(1, 2 + old * old, 4, dtype=torch.float64)
    lines = along(old, new, (new + more) / old)
    grid = embeddings[0, 2:].unflatten(0, (old, old))
    wanted = torch.einsum("ia,jb,abc->ijc", lines, lines, grid).flatten(0, 1)
    found = resized_positions(rule, embeddings, new, prefix=2)
    torch.testing.assert_close(found[0, 2:], wanted, atol=1e-6, rtol=1e-6)
    assert torch.equal(found[:, :2], embeddings[:, :2])


@pytest.mark.parametrize(("old", "new"), [(37, 16), (4, 9)])
def test_timm_s_rule_is_timm_s(old: int, new: int) -> None:
    embeddings = torch.randn(1, 1 + old * old, 3)
    wanted = timm.layers.resample_abs_pos_embed(embeddings, [new, new], [old, old], num_prefix_tokens=1)
    torch.testing.assert_close(resized_positions("timm", embeddings, new, prefix=1), wanted)


@pytest.mark.parametrize(("shape", "prefix", "side"), [((1, 10, 2), 1, 3), ((1, 9, 2), 0, 3), ((1, 11, 2), 1, None)])
def test_the_side_of_a_grid(shape: tuple[int, ...], prefix: int, side: int | None) -> None:
    assert grid_side(torch.zeros(shape), prefix) == side
    assert grid_side(torch.zeros(shape[1:]), prefix) is None
