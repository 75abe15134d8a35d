"""`norm_mlp` against its formula, values and gradients, and the markers of slides."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pathplugins.core.errors import PathPluginsError
from pathplugins.models.connectors import CONNECTORS

COUNTS, PLACES = [3, 1, 4], [0, 1, 0]  # a sample of two slides, then one of one
C, H = 5, 3


def part(**options: Any) -> nn.Module:
    torch.manual_seed(1)
    made = CONNECTORS.get("norm_mlp")(C, H, **options)
    for parameter in made.parameters():
        nn.init.normal_(parameter, std=0.5)
    return made.double()


def norm(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True, unbiased=False) + 1e-5).sqrt() * weight + bias


def reference(w: dict[str, Tensor], x: Tensor, *, markers: bool, numbers: bool) -> Tensor:
    """Row by row and slide by slide, from the published description."""
    out, start = [], 0
    for count, place in zip(COUNTS, PLACES, strict=True):
        if markers:
            out.append(w["wsi_sep"] + (w["wsi_index_emb"][place] if numbers else 0))
        for row in x[start : start + count]:
            y = norm(row, w["pre_ln.weight"], w["pre_ln.bias"]) @ w["mlp.0.weight"].T + w["mlp.0.bias"]
            y = 0.5 * y * (1 + torch.erf(y / math.sqrt(2)))
            out.append(norm(y @ w["mlp.3.weight"].T + w["mlp.3.bias"], w["post_ln.weight"], w["post_ln.bias"]))
        start += count
    return torch.stack(out)


@pytest.mark.parametrize(("markers", "numbers"), [(False, True), (True, True), (True, False)])
def test_values_and_gradients_are_those_of_the_formula(markers: bool, numbers: bool) -> None:
    made = part(slide_markers=markers, slide_numbers=numbers)
    x = torch.randn(sum(COUNTS), C, dtype=torch.float64, requires_grad=True)
    got = made(x, COUNTS, PLACES)
    direction = torch.randn_like(got)
    weights = dict(made.named_parameters())
    found = torch.autograd.grad((got * direction).sum(), [x, *weights.values()])

    copies = {name: value.detach().clone().requires_grad_() for name, value in weights.items()}
    wanted = reference(copies, x, markers=markers, numbers=numbers)
    assert got.shape == (sum(COUNTS) + markers * len(COUNTS), H)
    torch.testing.assert_close(got, wanted, rtol=0, atol=1e-6)
    right = torch.autograd.grad((wanted * direction).sum(), [x, *copies.values()])
    for name, ours, theirs in zip(["x", *weights], found, right, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6, msg=lambda said, name=name: f"{name}: {said}")
    assert (made.extra_tokens, made.max_images) == (int(markers), 32 if markers and numbers else None)


def test_a_slide_too_many_is_an_error_that_says_so() -> None:
    made = part(slide_markers=True, max_slides=2)
    with pytest.raises(PathPluginsError, match=r"a sample has 3 slides, there are markers for 2; give it fewer"):
        made(torch.zeros(3, C, dtype=torch.float64), [1, 1, 1], [0, 1, 2])


def test_new_markers_are_drawn_as_published() -> None:
    made = CONNECTORS.get("norm_mlp")(C, 500, slide_markers=True)
    made.reset_parameters()
    assert made.wsi_index_emb.std().item() == pytest.approx(1, abs=0.05)
    assert made.wsi_sep.std().item() == pytest.approx(0.02, abs=0.004)


@pytest.mark.parametrize("options", [{"max_slides": 0}, {"hidden_multiple": 0}])
def test_options_out_of_range_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(PathPluginsError, match="must be at least 1, got 0"):
        part(**options)


def test_tokens_of_another_type_are_taken() -> None:
    got = part(slide_markers=True).bfloat16()(torch.randn(3, C), [3], [0])
    assert (got.shape, got.dtype) == ((4, H), torch.bfloat16)
