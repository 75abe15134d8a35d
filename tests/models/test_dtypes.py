"""Number types where parts meet."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from pathplugins.models.dtypes import LayerNorm, like_weight


def test_layer_norm_counts_in_float32_and_keeps_the_type() -> None:
    norm = LayerNorm(24, eps=1e-6)
    x = torch.full((1, 24), 300.0, dtype=torch.bfloat16) + torch.arange(24).mul(2).to(torch.bfloat16)
    wanted = F.layer_norm(x.double(), (24,), eps=1e-6)
    for weights in (torch.float32, torch.bfloat16):
        got = norm.to(weights)(x)
        assert got.dtype == torch.bfloat16
        torch.testing.assert_close(got.double(), wanted, atol=2e-2, rtol=1e-2)
    assert norm.double()(x.double()).dtype == torch.float64


def test_a_quantised_layer_is_left_to_cast_by_itself() -> None:
    layer = nn.Linear(3, 2).bfloat16()
    assert like_weight(torch.zeros(3), layer).dtype == torch.bfloat16
    layer.weight = nn.Parameter(torch.zeros(6, 1, dtype=torch.uint8), requires_grad=False)
    assert like_weight(torch.zeros(3), layer).dtype == torch.float32
