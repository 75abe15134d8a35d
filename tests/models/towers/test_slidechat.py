"""SlideChat's slide encoder against a reference written from its description, values and gradients."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from pathplugins.models.compose.initialise import initialise
from pathplugins.models.towers import TOWERS
from pathplugins.models.towers.slidechat import SlideChatTower

C, F, HEADS = 16, 40, 4
COUNTS = (5, 1, 13)
SMALL: dict[str, Any] = {"embed_dim": C, "ffn_dim": F, "num_heads": HEADS}
ATTENDING = {"attend": True, "segment_lengths": [4, 8], "dilated_ratios": [1, 2]}
NOWHERE = torch.full((sum(COUNTS), 2), -1)


def build(**options: Any) -> SlideChatTower:
    torch.manual_seed(5)
    tower = TOWERS.get("slidechat").build({**SMALL, **options})
    initialise(tower)
    for parameter in tower.parameters():  # norms too
        torch.nn.init.normal_(parameter, std=0.4)
    return tower.double()


def features() -> Tensor:
    return torch.randn(sum(COUNTS), C, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


class Reference:
    """One bag through the published formulae."""

    def __init__(self, tower: SlideChatTower) -> None:
        self.w = dict(tower.named_parameters())
        self.config = tower.config

    def norm(self, x: Tensor, name: str) -> Tensor:
        x = x - x.mean(-1, keepdim=True)
        return x / (x.pow(2).mean(-1, keepdim=True) + 1e-5).sqrt() * self.w[f"{name}.weight"] + self.w[f"{name}.bias"]

    def linear(self, x: Tensor, name: str) -> Tensor:
        return x @ self.w[f"{name}.weight"].T + self.w[f"{name}.bias"]

    def attention(self, x: Tensor, name: str) -> Tensor:
        """Every query, head and branch by itself; branches by their log-sum-exp, through which nothing flows back."""
        n, width = len(x), C // HEADS
        q, k, v = (self.linear(x, f"{name}.{part}_proj").view(n, HEADS, width) for part in "qkv")
        outs, lses = [], []
        for length, ratio in zip(self.config.segment_lengths, self.config.dilated_ratios, strict=True):
            length = min(length, n)
            out, lse = torch.zeros(n, HEADS, width, dtype=x.dtype), torch.full((n, HEADS), -1e8, dtype=x.dtype)
            for start in range(0, n, length):
                for head in range(HEADS):
                    first = head // -(-HEADS // ratio)
                    seen = torch.arange(start + first, start + length, ratio)
                    inside = seen[seen < n]
                    beyond = (-(-length // ratio)) - len(inside)  # zero keys of a segment that the bag does not fill
                    keys = torch.cat([k[inside, head], torch.zeros(beyond, width, dtype=x.dtype)])
                    values = torch.cat([v[inside, head], torch.zeros(beyond, width, dtype=x.dtype)])
                    for place in inside:
                        scores = keys @ q[place, head] / math.sqrt(width)
                        out[place, head] = scores.softmax(0) @ values
                        lse[place, head] = scores.logsumexp(0)
            outs.append(out)
            lses.append(lse)
        shares = torch.stack(lses).softmax(0).detach().unsqueeze(-1)
        return (shares * torch.stack(outs)).sum(0).reshape(n, C)

    def __call__(self, x: Tensor) -> Tensor:
        for index in range(self.config.depth):
            at = f"layers.{index}"
            h = self.norm(x, f"{at}.self_attn_layer_norm")
            own = f"{at}.self_attn"
            mixed = self.attention(h, own) if self.config.attend else self.linear(h, f"{own}.v_proj")
            x = x + self.linear(self.norm(mixed, f"{own}.inner_attn_ln"), f"{own}.out_proj")
            h = self.linear(self.norm(x, f"{at}.final_layer_norm"), f"{at}.ffn.fc1")
            h = h * 0.5 * (1 + torch.erf(h / math.sqrt(2)))
            x = x + self.linear(self.norm(h, f"{at}.ffn.ffn_layernorm"), f"{at}.ffn.fc2")
        return self.norm(x, "layer_norm")


@pytest.mark.parametrize("options", [{}, ATTENDING], ids=["as published", "attending"])
def test_values_and_gradients_equal_the_formulae(options: dict[str, Any]) -> None:
    tower, x = build(**options).eval(), features().requires_grad_()
    slides, tokens = tower(x, NOWHERE, torch.tensor(COUNTS))
    assert slides is None
    wanted = torch.cat([Reference(tower)(bag) for bag in x.split(COUNTS)])
    torch.testing.assert_close(tokens, wanted, rtol=0, atol=1e-9)
    weight = torch.randn(tokens.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    over = {"x": x, **dict(tower.named_parameters())}
    got, expected = (
        torch.autograd.grad((each * weight).sum(), list(over.values()), allow_unused=True) for each in (tokens, wanted)
    )
    for name, ours, theirs in zip(over, got, expected, strict=True):
        theirs = torch.zeros_like(ours) if theirs is None else theirs
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-8, msg=name)


def test_patches_do_not_see_each_other_as_published() -> None:
    x = features()
    with torch.no_grad():
        tower = build().eval()
        alone = torch.cat([tower(row, NOWHERE[:1], torch.ones(1, dtype=torch.int64))[1] for row in x.split(1)])
        torch.testing.assert_close(tower(x, NOWHERE, torch.tensor(COUNTS))[1], alone, rtol=0, atol=1e-12)
        seeing = build(**ATTENDING).eval()
        changed = x.clone()
        changed[4] *= -1  # the last of the first bag
        before, after = (seeing(each, NOWHERE, torch.tensor(COUNTS))[1] for each in (x, changed))
    moved = (before - after).abs().amax(1) > 1e-6
    assert moved[:5].sum() > 1
    assert not moved[5:].any(), "the other bags stay"


def test_queries_and_keys_learn_exactly_nothing_as_published() -> None:
    tower = build()
    tower(features() * torch.inf, NOWHERE, torch.tensor(COUNTS))
    tower.zero_grad()
    tower(features(), NOWHERE, torch.tensor(COUNTS))[1].pow(2).sum().backward()
    for name, parameter in tower.named_parameters():
        assert parameter.grad is not None, name
        assert bool(parameter.grad.any()) != (".q_proj." in name or ".k_proj." in name), name


def test_the_published_size() -> None:
    tower = TOWERS.get("slidechat").build({})
    names = tower.state_dict()
    assert sum(value.numel() for value in names.values()) == 4_212_736
    assert names["layers.1.ffn.fc1.weight"].shape == (1024, 512)
    assert {name.split(".", 2)[-1] for name in names if name.startswith("layers.0.")} == {
        f"{module}.{kind}"
        for module in (
            *(f"self_attn.{name}" for name in ("q_proj", "k_proj", "v_proj", "out_proj", "inner_attn_ln")),
            *("self_attn_layer_norm", "ffn.fc1", "ffn.fc2", "ffn.ffn_layernorm", "final_layer_norm"),
        )
        for kind in ("weight", "bias")
    }


def test_first_weights_are_drawn_as_published() -> None:
    tower = TOWERS.get("slidechat").build({})
    initialise(tower)
    layer, gain = tower.layers[1], math.sqrt(math.log(4))
    for module, factor in ((layer.self_attn.q_proj, 1), (layer.self_attn.v_proj, gain), (layer.ffn.fc2, gain)):
        bound = factor / math.sqrt(module.in_features)
        for values in (module.weight, module.bias):
            assert values.abs().max() <= bound
            assert values.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.1)
    assert bool((layer.final_layer_norm.weight == 1).all())


def test_what_is_dropped_in_training() -> None:
    """A patch of the last layer as a whole, or a slide where patches see each other; nothing while frozen."""
    x, counts = features(), torch.tensor(COUNTS)
    for options, draws in (({}, None), (ATTENDING, COUNTS)):
        tower = build(**options, dropout=0.0, drop_path_rate=0.5).train()
        with torch.no_grad():
            torch.manual_seed(0)
            once = tower(x, NOWHERE, counts)[1]
            full = tower.eval()(x, NOWHERE, counts)[1]
            torch.manual_seed(0)
            layer = tower.train().layers[1]
            kept = layer._drop(torch.ones(len(x), 1, dtype=torch.float64), list(COUNTS))
        assert set(kept.flatten().tolist()) == {0.0, 2.0}
        assert tower.layers[0].drop_path_rate == 0
        if draws:
            assert all(len(set(bag.flatten().tolist())) == 1 for bag in kept.split(draws))
        assert not torch.allclose(once, full)
        tower.requires_grad_(False)
        assert torch.equal(tower.train()(x, NOWHERE, counts)[1], full)
    dropping = build(dropout=0.3, drop_path_rate=0.0).train()
    assert not torch.equal(dropping(x, NOWHERE, counts)[1], dropping(x, NOWHERE, counts)[1])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_features_come_in_any_type(dtype: torch.dtype) -> None:
    tower = build().float().eval().to(torch.bfloat16)
    _, tokens = tower(features().to(dtype), NOWHERE, torch.tensor(COUNTS))
    assert tokens.dtype == torch.bfloat16


def test_bags_that_do_not_fit_together() -> None:
    with pytest.raises(ValueError, match=r"add up to 3, so features must be \(3, 16\); got \(19, 16\)"):
        build()(features(), NOWHERE, torch.tensor([3]))
