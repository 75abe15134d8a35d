"""Towers that look at every patch by itself, against formulas written down here."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from pathplugins.core.errors import PathPluginsError
from pathplugins.models.compose.initialise import initialise
from pathplugins.models.towers import TOWERS

D, C, N = 7, 6, 9
COUNTS = torch.tensor([4, 5])
NOWHERE = torch.full((N, 2), -1)


def build(kind: str, **options: object) -> torch.nn.Module:
    torch.manual_seed(3)
    tower = TOWERS.get(kind).build({"feature_dim": D, **options})
    initialise(tower)
    return tower.double().eval()


def norm(x: Tensor, eps: float, weight: Tensor | float = 1.0, bias: Tensor | float = 0.0) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    return centred / (centred.pow(2).mean(-1, keepdim=True) + eps).sqrt() * weight + bias


def gelu(x: Tensor) -> Tensor:
    return x * 0.5 * (1 + torch.erf(x / math.sqrt(2)))


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_features_are_what_the_bag_holds(dtype: torch.dtype) -> None:
    x = torch.randn(N, D, dtype=torch.float64).to(dtype)
    slides, tokens = build("features")(x, NOWHERE, COUNTS)
    assert slides is None
    assert tokens.dtype == dtype
    assert torch.equal(tokens, x)
    assert not list(build("features").state_dict())


def test_features_may_be_normed_first() -> None:
    x = (torch.randn(N, D, dtype=torch.float64) * 5 + 3).requires_grad_()
    _, tokens = build("features", layer_norm=True)(x, NOWHERE, COUNTS)
    wanted = norm(x, 1e-6)
    torch.testing.assert_close(tokens, wanted, rtol=0, atol=1e-12)
    weight = torch.randn(N, D, dtype=torch.float64)
    got, expected = (torch.autograd.grad((each * weight).sum(), x)[0] for each in (tokens, wanted))
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("layer_norm", [False, True])
def test_patch_mlp_equals_its_formula(layer_norm: bool) -> None:
    tower = build("patch_mlp", hidden_dim=C, depth=2, layer_norm=layer_norm)
    weights = {name: torch.randn_like(value) for name, value in tower.state_dict().items()}
    tower.load_state_dict(weights)
    x = torch.randn(N, D, dtype=torch.float64)
    y = norm(x, 1e-6) if layer_norm else x
    y = y @ weights["proj.weight"].T + weights["proj.bias"]
    for i in range(2):
        at = f"blocks.{i}."
        of = {name.removeprefix(at): value for name, value in weights.items() if name.startswith(at)}
        h = norm(y, 1e-5, of["norm.weight"], of["norm.bias"])
        y = y + gelu(h @ of["fc1.weight"].T + of["fc1.bias"]) @ of["fc2.weight"].T + of["fc2.bias"]
    wanted = norm(y, 1e-5, weights["norm.weight"], weights["norm.bias"])
    slides, tokens = tower(x, NOWHERE, COUNTS)
    assert slides is None
    torch.testing.assert_close(tokens, wanted, rtol=0, atol=1e-9)
    alone = tower(x[4:], NOWHERE[4:], COUNTS[1:])[1]
    torch.testing.assert_close(alone, tokens[4:], rtol=0, atol=1e-12)  # a patch knows no other


def test_another_width_is_named() -> None:
    for kind in ("features", "patch_mlp"):
        with pytest.raises(PathPluginsError, match=r"features are 8 wide, this tower takes 7; set feature_dim"):
            build(kind)(torch.randn(2, 8, dtype=torch.float64), NOWHERE[:2], torch.tensor([2]))
