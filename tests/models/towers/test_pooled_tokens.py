"""Pooled tokens against the formula written out, in float64."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from pathplugins.core.errors import PathPluginsError
from pathplugins.models.towers.longnet_vit import LongNetConfig, LongNetViT
from pathplugins.models.towers.pooled_tokens import pooled_tokens

WIDE, ROWS, WIDTH = 12, 7, 17


def reference(tokens: Tensor, norm: nn.LayerNorm) -> Tensor:
    n, rows = len(tokens), []
    for i in range(ROWS):
        first, behind = math.floor(i * n / ROWS), math.ceil((i + 1) * n / ROWS)
        mean = sum(tokens[at] for at in range(first, behind)) / (behind - first)
        centred = mean - mean.sum() / WIDE
        scaled = centred / torch.sqrt((centred**2).sum() / WIDE + 1e-6)
        rows.append(torch.cat([scaled * norm.weight + norm.bias, torch.zeros(WIDTH - WIDE, dtype=torch.float64)]))
    return torch.stack(rows)


@pytest.mark.parametrize("n", [1, 3, 7, 8, 23, 140])
def test_values_and_gradients_are_those_of_the_formula(n: int) -> None:
    torch.manual_seed(n)
    tokens = torch.randn(n, WIDE, dtype=torch.float64, requires_grad=True)
    norm = nn.LayerNorm(WIDE, eps=1e-6).double()
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    ours, theirs = pooled_tokens(tokens, norm, rows=ROWS, width=WIDTH), reference(tokens, norm)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-10)
    weights = torch.randn(ROWS, WIDTH, dtype=torch.float64)
    inputs = [tokens, norm.weight, norm.bias]
    for one, other in zip(
        torch.autograd.grad((ours * weights).sum(), inputs),
        torch.autograd.grad((theirs * weights).sum(), inputs),
        strict=True,
    ):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6)


def test_fewer_tokens_than_rows_are_repeated_in_their_order() -> None:
    tokens = torch.arange(3.0)[:, None].repeat(1, WIDE)
    rows = pooled_tokens(tokens, nn.Identity(), rows=6, width=WIDE)
    assert rows[:, 0].tolist() == [0, 0, 1, 1, 2, 2]


def test_fewer_channels_than_the_encoder_has_are_refused() -> None:
    with pytest.raises(PathPluginsError, match="12 or more"):
        pooled_tokens(torch.zeros(3, WIDE), nn.Identity(), rows=2, width=8)


def test_the_encoder_gives_its_tokens_before_the_outer_norm() -> None:
    torch.manual_seed(0)
    tower = LongNetViT(LongNetConfig(in_chans=5, embed_dim=24, depth=2, num_heads=4, mlp_ratio=2.0)).double().eval()
    features, counts = torch.randn(9, 5, dtype=torch.float64), torch.tensor([5, 4])
    coords = torch.randint(0, 40, (9, 2)) * 256
    bare = tower.unnormed(features, coords, counts)
    assert bare.shape == (9, 24)
    torch.testing.assert_close(tower.norm(bare), tower(features, coords, counts)[1], rtol=0, atol=0)
    seen = {}
    tower.encoder.layer_norm.register_forward_hook(lambda _module, _inputs, output: seen.update(output=output))
    tower.unnormed(features[:5], coords[:5], counts[:1])
    torch.testing.assert_close(bare[:5], seen["output"][1:], rtol=0, atol=1e-12)
