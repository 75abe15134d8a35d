"""Gated-attention slide encoders, against the formula of Ilse et al. written down patch by patch."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from pathplugins.core.errors import PathPluginsError
from pathplugins.models.selectors import SELECTORS
from pathplugins.models.selectors.base import PackedCandidates
from pathplugins.models.towers import TOWERS, tower_expects
from pathplugins.models.towers.abmil import AbmilTower

D, C, A, N = 7, 6, 5, 9
COUNTS = torch.tensor([4, 5])
NOWHERE = torch.full((N, 2), -1)


def build(**options: object) -> Any:
    torch.manual_seed(3)
    options = {"feature_dim": D, "hidden_dim": C, "attention_dim": A, **options}
    return TOWERS.get("abmil").build(options).double().eval()


def by_hand(x: Tensor, weights: dict[str, Tensor], *, features: bool) -> tuple[Tensor, Tensor]:
    """One bag: its slide token and the attention of its patches."""
    hidden, logits = [], []
    for row in x:
        h = weights["embed.weight"] @ row + weights["embed.bias"]
        h = torch.where(h > 0, h, torch.zeros_like(h))
        v = weights["gate_tanh.weight"] @ h + weights["gate_tanh.bias"]
        u = weights["gate_sigmoid.weight"] @ h + weights["gate_sigmoid.bias"]
        tanh = (v.exp() - (-v).exp()) / (v.exp() + (-v).exp())
        logits.append((weights["score.weight"][0] * tanh / (1 + (-u).exp())).sum() + weights["score.bias"][0])
        hidden.append(h)
    top = max(value.item() for value in logits)
    shares = [(value - top).exp() for value in logits]
    attention = torch.stack(shares) / sum(shares)
    given = list(x) if features else hidden
    return sum(share * row for share, row in zip(attention, given, strict=True)), attention


@pytest.mark.parametrize("tokens", ["embedded", "features"])
def test_values_and_gradients_are_those_of_the_formula(tokens: str) -> None:
    tower = build(tokens=tokens)
    x = torch.randn(N, D, dtype=torch.float64).requires_grad_()
    slides, patches = tower(x, NOWHERE, COUNTS)
    weights = dict(tower.named_parameters())
    wanted = [by_hand(part, weights, features=tokens == "features") for part in x.split(COUNTS.tolist())]
    torch.testing.assert_close(slides, torch.stack([slide for slide, _ in wanted]), rtol=0, atol=1e-12)
    hidden = torch.relu(x @ weights["embed.weight"].T + weights["embed.bias"])
    torch.testing.assert_close(patches, x if tokens == "features" else hidden, rtol=0, atol=1e-12)
    direction = torch.randn_like(slides)
    leaves = [x, *weights.values()]
    ours = torch.autograd.grad((slides * direction).sum(), leaves, retain_graph=True)
    theirs = torch.autograd.grad((torch.stack([slide for slide, _ in wanted]) * direction).sum(), leaves)
    for got, expected in zip(ours, theirs, strict=True):
        torch.testing.assert_close(got, expected, rtol=0, atol=1e-12)
    _, _, seen = tower.attend(x, NOWHERE, COUNTS)
    torch.testing.assert_close(seen.weights, torch.cat([each for _, each in wanted]).float(), rtol=0, atol=1e-6)
    assert tower.hidden_size == patches.shape[1] == slides.shape[1]


def test_a_bag_alone_is_as_in_a_batch() -> None:
    tower, x = build(), torch.randn(N, D, dtype=torch.float64)
    slides, tokens = tower(x, NOWHERE, COUNTS)
    alone = tower(x[4:], NOWHERE[4:], COUNTS[1:])
    torch.testing.assert_close(alone[0], slides[1:], rtol=0, atol=1e-12)
    torch.testing.assert_close(alone[1], tokens[4:], rtol=0, atol=1e-12)


def test_a_long_bag_in_half_precision_is_summed_exactly() -> None:
    tower, x = build(), torch.randn(20_000, D, dtype=torch.float64)
    counts, nowhere = torch.tensor([20_000]), torch.zeros(20_000, 2)
    exact = tower(x, nowhere, counts)[0]
    half = tower.bfloat16()(x.half(), nowhere, counts)[0]
    assert half.dtype == torch.bfloat16
    assert (half.double() - exact).abs().max() < 0.02 * exact.abs().max()


def test_prumerge_ranks_by_its_attention() -> None:
    tower = build().float()
    x = torch.randn(N, D)
    slides, tokens, seen = tower.attend(x, NOWHERE, COUNTS, layer=None)
    own = {"attention": seen.weights, "keys": seen.keys, "cls": slides}
    bags = PackedCandidates(tokens=tokens, coords=NOWHERE, counts=COUNTS.tolist(), seeds=[0, 1], **own)
    kept = SELECTORS.get("prumerge")(C, 3)(bags, 2).indices.split(2)
    for rows, attention in zip(kept, seen.weights.split(COUNTS.tolist()), strict=True):
        assert rows.tolist() == sorted(attention.argsort(descending=True)[:2].tolist())
    with pytest.raises(PathPluginsError, match=r"must be in \[0, 0\]"):
        tower.looking(1)


def test_what_it_expects_and_refuses() -> None:
    expects = tower_expects({"model_type": "abmil", "feature_dim": 768, "encoder": "ctranspath"})
    assert (expects.feature_dim, expects.expects_encoder, expects.slide_token) == (768, "ctranspath", True)
    assert not expects.needs_positions
    with pytest.raises(PathPluginsError, match="features are 8 wide, this slide encoder takes 7"):
        build()(torch.randn(2, 8, dtype=torch.float64), NOWHERE[:2], torch.tensor([2]))
    for wrong in ({"tokens": "both"}, {"hidden_dim": 0}):
        with pytest.raises(PathPluginsError, match="vision_config"):
            build(**wrong)


@pytest.mark.parametrize("name", ["titan", "prism", "chief", "feather"])
def test_slide_models_that_are_no_tower_say_what_to_do(name: str) -> None:
    with pytest.raises(PathPluginsError, match=rf"vision tower '{name}': .*vision_model_name: (features|abmil)"):
        TOWERS.get(name)
    assert name not in TOWERS


def test_its_first_weights_give_numbers() -> None:
    from pathplugins.models.compose.initialise import initialise

    tower = AbmilTower(build().config)
    initialise(tower)
    slides, _ = tower(torch.randn(N, D), NOWHERE, COUNTS)
    assert math.isfinite(slides.sum().item())
