"""Connectors against their formulae (features W24, W25)."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from pathplugins.core.errors import PathPluginsError
from pathplugins.models.connectors import CONNECTORS
from pathplugins.models.connectors.mlp import GammaMLPConnector, logit_of


def norm(x: torch.Tensor, layer: nn.LayerNorm) -> torch.Tensor:
    x = (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True, unbiased=False) + 1e-5).sqrt()
    return x * layer.weight + layer.bias


def gelu(x: torch.Tensor) -> torch.Tensor:
    return 0.5 * x * (1 + torch.erf(x / math.sqrt(2)))


def filled(part: nn.Module) -> nn.Module:
    torch.manual_seed(1)
    for parameter in part.parameters():
        nn.init.normal_(parameter, std=0.5)
    return part.eval()


def test_gamma_mlp_is_the_published_one() -> None:
    part = filled(GammaMLPConnector(7, 5, scale_min=1.2, scale_max=1.8))
    x = torch.randn(3, 7)
    hidden = gelu(norm(x @ part.linear_1.weight.T + part.linear_1.bias, part.ln1))
    scale = 1.2 + 0.6 / (1 + math.exp(-part.scale_logit.item()))
    wanted = norm(hidden @ part.linear_2.weight.T + part.linear_2.bias, part.ln2) * scale
    torch.testing.assert_close(part(x), wanted)
    assert part.scale.item() == pytest.approx(scale)


def test_linear_and_mlp2x_gelu_are_llavas() -> None:
    x = torch.randn(4, 7)
    one, two = filled(CONNECTORS.get("linear")(7, 5)), filled(CONNECTORS.get("mlp2x_gelu")(7, 5))
    torch.testing.assert_close(one(x), nn.functional.linear(x, one.linear_1.weight, one.linear_1.bias))
    hidden = gelu(nn.functional.linear(x, two.linear_1.weight, two.linear_1.bias))
    torch.testing.assert_close(two(x), nn.functional.linear(hidden, two.linear_2.weight, two.linear_2.bias))


@pytest.mark.parametrize(("options", "scale"), [({}, 1.4), ({"scale_init": 1.9}, 1.9), ({"scale_min": 1.8}, 1.9)])
def test_the_scale_starts_where_it_is_told(options: dict[str, float], scale: float) -> None:
    """W25: ``gamma_init`` works; without it the logit starts at 0, as published."""
    part = GammaMLPConnector(7, 5, **options)
    part.reset_parameters()
    assert part.scale.item() == pytest.approx(scale)
    assert (part.scale_logit.item() == pytest.approx(0, abs=1e-6)) == ("scale_init" not in options)


@pytest.mark.parametrize("scale", [1.2000001, 1.31, 1.79])
def test_logit_of_is_the_inverse_of_the_scale(scale: float) -> None:
    logit = torch.tensor(logit_of(scale, 1.2, 1.8), dtype=torch.float64)
    assert (1.2 + logit.sigmoid() * 0.6).item() == pytest.approx(scale, abs=1e-9)


@pytest.mark.parametrize("scale", [1.2, 1.8, 0.0, 2.5])
def test_a_scale_outside_its_bounds_is_refused(scale: float) -> None:
    with pytest.raises(PathPluginsError, match=r"does not lie between gamma_min 1\.2 and gamma_max 1\.8"):
        logit_of(scale, 1.2, 1.8)


def test_bounds_the_wrong_way_round_are_refused() -> None:
    with pytest.raises(PathPluginsError, match=r"gamma_min must be below gamma_max, got 2\.0 and 1\.0"):
        GammaMLPConnector(7, 5, scale_min=2.0, scale_max=1.0)


def test_dropout_acts_in_training_only() -> None:
    part = filled(GammaMLPConnector(7, 64, dropout=0.5))
    x = torch.randn(2, 7)
    assert torch.equal(part(x), part(x))
    part.train()
    assert not torch.equal(part(x), part(x))


ONE_BY_ONE = [name for name in CONNECTORS if not {"across_tiles", "per_image"} & set(vars(CONNECTORS.get(name)))]
"""The others have tests of their own."""


@pytest.mark.parametrize("name", ONE_BY_ONE)
def test_tokens_of_another_type_are_taken(name: str) -> None:
    part = filled(CONNECTORS.get(name)(7, 5)).bfloat16()
    got = part(torch.randn(3, 7))
    assert (got.shape, got.dtype) == ((3, 5), torch.bfloat16)


def test_a_scale_kept_in_float32_does_not_raise_the_tokens() -> None:
    part = filled(GammaMLPConnector(7, 5)).bfloat16()
    part.scale_logit.data = part.scale_logit.data.float()
    assert part(torch.randn(3, 7)).dtype == torch.bfloat16
