"""Token selectors: how many, which, and packed how (features W27 to W30)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from pathplugins.core.errors import PathPluginsError
from pathplugins.models.compose.spec import resolve_selector
from pathplugins.models.selectors import SELECTORS, prumerge
from pathplugins.models.selectors.base import PackedCandidates, Selection, TokenSelector

COUNTS = [4, 1, 9, 6]
WIDTH, PROMPT = 5, 3
ROWS = ["none", "random_sample", "stride", "linspace", "spatial", "kmeans"]
"""Whose tokens are rows of the bag as they are."""
OF_THE_SET = ["none", "spatial", "prumerge", "prompt_topk"]
"""Whose choice does not depend on the order of the rows; the supplement of prumerge_adaptive is by order too."""


def numbered(counts: list[int], *, cls: bool = True, seeds: list[int] | None = None) -> PackedCandidates:
    """Token j of bag i is (i, j); its CLS is (i, -1)."""
    tokens = torch.tensor([[i, j] for i, n in enumerate(counts) for j in range(n)], dtype=torch.float32)
    heads = torch.tensor([[i, -1] for i in range(len(counts))], dtype=torch.float32)
    return PackedCandidates(
        tokens=tokens,
        coords=tokens.long(),
        counts=counts,
        seeds=seeds or list(range(len(counts))),
        cls=heads if cls else None,
    )


def random_bags(counts: list[int], *, seed: int = 0) -> PackedCandidates:
    """With everything a selector may ask for."""
    rng = torch.Generator().manual_seed(seed)
    total = sum(counts)
    shares = [torch.rand(n, generator=rng) ** 4 for n in counts]
    return PackedCandidates(
        tokens=torch.randn(total, WIDTH, generator=rng),
        coords=torch.randint(0, 10**5, (total, 2), generator=rng),
        counts=counts,
        seeds=list(range(len(counts))),
        cls=torch.randn(len(counts), WIDTH, generator=rng),
        attention=torch.cat([share / (share.sum() + 0.1) for share in shares]),
        keys=torch.randn(total, 7, generator=rng),
        prompt=torch.randn(len(counts), PROMPT, generator=rng),
    )


def one(bags: PackedCandidates, index: int, order: Tensor | None = None) -> PackedCandidates:
    """One bag of several, its rows in another order."""
    start, count = sum(bags.counts[:index]), bags.counts[index]
    rows = torch.arange(count) if order is None else order
    packed = {name: getattr(bags, name)[start : start + count][rows] for name in ("tokens", "coords")}
    packed |= {name: getattr(bags, name)[start : start + count][rows] for name in ("attention", "keys")}
    own = {name: getattr(bags, name)[index : index + 1] for name in ("cls", "prompt")}
    return PackedCandidates(counts=[count], seeds=[bags.seeds[index]], **packed, **own)


def make(name: str, **options: Any) -> TokenSelector:
    torch.manual_seed(0)
    return SELECTORS.get(name)(WIDTH, PROMPT, **options).eval()


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("budget", [0, 1, 4, 6, 100])
@pytest.mark.parametrize("cls", [True, False])
def test_rows_are_kept_as_they_are(name: str, budget: int, cls: bool) -> None:
    selector = make(name)
    got: Selection = selector(numbered(COUNTS, cls=cls), budget)
    assert got.scores is None
    kept = iter(got.indices.split([count - cls for count in got.counts]))
    for bag, tokens in enumerate(got.tokens.split(got.counts)):
        rows = next(kept)
        assert tokens.tolist() == ([[bag, -1]] if cls else []) + [[bag, row] for row in rows.tolist()]


@pytest.mark.parametrize("name", list(SELECTORS))
@pytest.mark.parametrize("budget", [0, 1, 4, 6, 100])
def test_every_selector_keeps_what_it_promises(name: str, budget: int) -> None:
    """W28: fewer patches than the budget, as many, one more; budget 0 is the slide token alone (W31)."""
    selector, bags = make(name), random_bags([4, 1, 9, 6, 5])
    got = selector(bags, budget)
    most = [selector.num_tokens(n, budget) for n in bags.counts]
    assert most == [n if name == "none" else min(n, budget) for n in bags.counts]
    own = [count - 1 for count in got.counts]
    assert own == most if not selector.adaptive else all(min(m, 1) <= n <= m for n, m in zip(own, most, strict=True))
    assert got.tokens.shape == (sum(got.counts), WIDTH)
    starts = torch.tensor(got.counts).cumsum(0) - torch.tensor(got.counts)
    assert torch.equal(got.tokens[starts], bags.cls)
    assert got.indices.dtype == torch.int64
    if got.scores is not None:
        assert got.scores.shape == (sum(bags.counts),)
    for i in range(len(bags.counts)):  # alone as in a batch
        alone = selector(one(bags, i), budget)
        torch.testing.assert_close(alone.tokens, got.tokens.split(got.counts)[i], atol=1e-5, rtol=1e-5)
        assert alone.indices.tolist() == sorted(set(alone.indices.tolist()))
        if budget >= bags.counts[i] and not selector.adaptive:
            torch.testing.assert_close(alone.tokens[1:], one(bags, i).tokens)


@pytest.mark.parametrize("name", OF_THE_SET)
def test_the_order_of_the_patches_is_the_order_of_the_output_and_nothing_else(name: str) -> None:
    selector, bags = make(name), random_bags([50])
    order = torch.randperm(50, generator=torch.Generator().manual_seed(1))
    there = selector(bags, 12)
    back = selector(one(bags, 0, order), 12)
    kept = order[back.indices]
    assert sorted(kept.tolist()) == there.indices.tolist()
    torch.testing.assert_close(back.tokens[1:][kept.argsort()], there.tokens[1:], atol=1e-5, rtol=1e-5)


def test_every_selector_is_tested() -> None:
    assert set(SELECTORS) == {*ROWS, *OF_THE_SET, "prumerge_adaptive"}


def test_the_seed_of_a_bag_decides_alone() -> None:
    select = make("random_sample")
    first = select(numbered([30, 40], seeds=[5, 6]), 8)
    assert torch.equal(select(numbered([30, 40], seeds=[5, 6]), 8).indices, first.indices)
    swapped = select(numbered([40, 30], seeds=[6, 5]), 8)
    assert torch.equal(swapped.indices.view(2, 8).flip(0), first.indices.view(2, 8))
    other = select(numbered([30, 40], seeds=[5, 7]), 8).indices.view(2, 8)
    assert torch.equal(other[0], first.indices[:8])
    assert not torch.equal(other[1], first.indices[8:])


def test_every_row_is_as_likely() -> None:
    drawn = make("random_sample")(numbered([10] * 2000), 3).indices.bincount(minlength=10)
    assert drawn.sum() == 6000
    assert drawn.min() > 500
    assert drawn.max() < 700


def test_gradients_reach_the_kept_tokens_alone() -> None:
    packed = numbered([9])
    packed.tokens.requires_grad_()
    got = make("random_sample")(packed, 4)
    got.tokens.sum().backward()
    assert packed.tokens.grad.sum(1).nonzero()[:, 0].tolist() == got.indices.tolist()


def test_stride_is_even_in_the_order_of_the_rows() -> None:
    assert make("stride")(numbered([10], cls=False), 5).indices.tolist() == [1, 3, 5, 7, 9]
    gaps = make("stride")(numbered([1000], cls=False), 37).indices.diff()
    assert set(gaps.tolist()) == {27, 28}


def test_linspace_has_the_first_row_and_the_last() -> None:
    assert make("linspace")(numbered([10], cls=False), 4).indices.tolist() == [0, 3, 6, 9]
    assert make("linspace")(numbered([10], cls=False), 1).indices.tolist() == [0]


def test_kmeans_keeps_one_of_each_kind_and_gradients_reach_the_kept_alone() -> None:
    kinds = torch.tensor([0] * 40 + [1] * 3 + [2] * 30 + [3] * 2)
    tokens = (50 * torch.eye(WIDTH)[kinds] + torch.randn(len(kinds), WIDTH)).requires_grad_()
    bags = PackedCandidates(tokens=tokens, coords=torch.zeros(len(kinds), 2).long(), counts=[len(kinds)], seeds=[0])
    got = make("kmeans")(bags, 4)
    assert kinds[got.indices].tolist() == [0, 1, 2, 3]
    got.tokens.sum().backward()
    assert tokens.grad.sum(1).nonzero()[:, 0].tolist() == got.indices.tolist()


def test_spatial_covers_the_tissue() -> None:
    side = 48
    grid = torch.cartesian_prod(torch.arange(side), torch.arange(side)) * 256 + 10**6
    bags = PackedCandidates(tokens=torch.randn(side**2, WIDTH), coords=grid, counts=[side**2], seeds=[3])

    def away(name: str) -> Tensor:
        """Of every patch from the nearest kept one, in patches."""
        kept = grid[make(name)(bags, 64).indices]
        return torch.cdist(grid.double(), kept.double()).amin(1) / 256

    assert away("spatial").max() < 6  # 64 squares of 6 x 6 patches
    assert away("spatial").mean() < 0.85 * away("random_sample").mean()
    quarters = (grid[make("spatial")(bags, 64).indices] - 10**6) // (side // 2 * 256)
    assert (quarters[:, 0] * 2 + quarters[:, 1]).bincount().tolist() == [16] * 4


def test_spatial_takes_patches_on_one_spot() -> None:
    bags = replace(random_bags([8]), coords=torch.full((8, 2), 512))
    assert len(make("spatial")(bags, 3).indices.unique()) == 3


def slow_prumerge(bags: PackedCandidates, budget: int, k: int) -> Tensor:
    """One bag, token by token, as published; rows in the order of the bag."""
    a, f, keys = bags.attention, bags.tokens, bags.keys / bags.keys.norm(dim=1, keepdim=True)
    kept = sorted(sorted(range(len(a)), key=lambda row: -a[row].item())[:budget])
    dropped = [row for row in range(len(a)) if row not in kept]
    out = []
    for row in kept:
        near = sorted(dropped, key=lambda other: -(keys[row] @ keys[other]).item())[:k]
        merged = sum((a[j] * f[j] for j in near), torch.zeros(WIDTH)) / (sum(a[j] for j in near) + 1e-6)
        out.append(f[row] + merged if near else f[row])
    return torch.stack(out)


@pytest.mark.parametrize("n", [40, 9, 8, 7, 1])
@pytest.mark.parametrize("blocks", [2**23, 1])
def test_w28_prumerge_is_the_published_one_for_any_size(monkeypatch: pytest.MonkeyPatch, n: int, blocks: int) -> None:
    """More patches than budget + k, fewer, one more, as many, fewer than the budget; values and gradients."""
    monkeypatch.setattr(prumerge, "BLOCK_SCORES", blocks)
    monkeypatch.setattr(prumerge, "TILE", 1024 if blocks > 1 else 7)
    bags = random_bags([n], seed=n)
    leaves = [bags.tokens, bags.attention, bags.cls]
    for leaf in leaves:
        leaf.requires_grad_()
    got = make("prumerge", k_per_token=6)(bags, 8)
    wanted = torch.cat([bags.cls, slow_prumerge(bags, 8, 6)])
    torch.testing.assert_close(got.tokens, wanted)
    assert torch.equal(got.scores, bags.attention)
    direction = torch.randn_like(wanted)
    grads = [torch.autograd.grad((out * direction).sum(), leaves, allow_unused=True) for out in (got.tokens, wanted)]
    for ours, theirs in zip(*grads, strict=True):
        assert (ours is None) == (theirs is None)
        if ours is not None:  # sum(a) / (sum(a) + 1e-6) of one neighbour has next to no slope
            torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


def slow_adaptive(bags: PackedCandidates, k: int, supplement: bool) -> tuple[list[int], Tensor]:
    a, f, keys = bags.attention, bags.tokens, bags.keys / bags.keys.norm(dim=1, keepdim=True)
    low, high = (torch.quantile(a, q) for q in (0.25, 0.75))
    kept = {row for row in range(len(a)) if a[row] > high + 1.5 * (high - low)} | {int(a.argmax())}
    if supplement:
        kept |= set(range(0, len(a), max(1, len(a) // len(kept) // 3)))
    out = []
    for row in sorted(kept):
        others = [j for j in range(len(a)) if j != row]
        near = sorted(others, key=lambda j: -(keys[row] @ keys[j]).item())[:k]
        out.append(f[row] + sum((a[j] * f[j] for j in near), torch.zeros(WIDTH)))
    out.append(sum((a[j] * f[j] for j in range(len(a)) if j not in kept), torch.zeros(WIDTH)))
    return sorted(kept), torch.stack(out)


@pytest.mark.parametrize("supplement", [True, False])
@pytest.mark.parametrize("blocks", [2**23, 1])
def test_w28_the_adaptive_one_is_the_original(monkeypatch: pytest.MonkeyPatch, supplement: bool, blocks: int) -> None:
    monkeypatch.setattr(prumerge, "BLOCK_SCORES", blocks)
    monkeypatch.setattr(prumerge, "TILE", 1024 if blocks > 1 else 7)
    bags = random_bags([60], seed=2)
    got = make("prumerge_adaptive", supplement=supplement)(bags, 60)
    rows, tokens = slow_adaptive(bags, 32, supplement)
    assert got.indices.tolist() == rows
    assert 1 < len(rows) < 60
    torch.testing.assert_close(got.tokens, torch.cat([bags.cls, tokens]))


def test_w28_the_adaptive_one_keeps_outliers_first_and_stays_within_the_budget() -> None:
    bags = random_bags([60], seed=2)
    outliers = set(make("prumerge_adaptive", supplement=False)(bags, 60).indices.tolist())
    got = make("prumerge_adaptive")(bags, len(outliers) + 3)
    assert got.counts == [1 + len(outliers) + 3]  # the slide token, the rows, one for what is dropped
    assert outliers < set(got.indices.tolist())
    fewer = make("prumerge_adaptive")(bags, 3)
    ranked = bags.attention.argsort(descending=True)
    assert fewer.indices.tolist() == sorted(ranked[:2].tolist())


def test_w28_no_outlier_is_no_division_by_zero() -> None:
    bags = replace(random_bags([12]), attention=torch.full((12,), 1 / 13))
    got = make("prumerge_adaptive", supplement=False)(bags, 12)
    assert got.counts == [3]  # slide token, one row, one for the rest
    assert got.tokens.isfinite().all()


def test_w29_the_most_like_the_question_are_kept_and_nothing_is_scaled() -> None:
    """The published factor acts in training alone; ours is 1 in both, with its gradient."""
    bags = random_bags([30, 7])
    selector = make("prompt_topk")
    query = selector.text_query_projection(bags.prompt)
    cosine = torch.cosine_similarity(query.repeat_interleave(torch.tensor([30, 7]), 0), bags.tokens)
    answering, training = selector(bags, 5), selector.train()(bags, 5)
    torch.testing.assert_close(answering.scores, cosine.detach())
    assert answering.indices[:5].tolist() == sorted(cosine[:30].argsort(descending=True)[:5].tolist())
    kept = torch.cat([bags.cls[:1], bags.tokens[answering.indices[:5]]])
    torch.testing.assert_close(training.tokens[:6], kept)
    assert torch.equal(training.tokens, answering.tokens)

    direction = torch.randn_like(training.tokens)
    (training.tokens * direction).sum().backward()
    ours = selector.text_query_projection.weight.grad.clone()
    selector.zero_grad()
    rows = torch.cat([answering.indices[:5], answering.indices[5:] + 30])
    factor = cosine[rows].sigmoid()[:, None]
    inner = direction[[1, 2, 3, 4, 5, 7, 8, 9, 10, 11]]
    (wanted,) = torch.autograd.grad((bags.tokens[rows] * factor * inner).sum(), selector.text_query_projection.weight)
    torch.testing.assert_close(ours, wanted)
    assert wanted.abs().max() > 0.01


def test_w29_the_published_scale_is_there_for_who_asks() -> None:
    bags, selector = random_bags([30]), make("prompt_topk", published_rescale=True)
    answering, training = selector(bags, 5), selector.train()(bags, 5)
    factor = answering.scores[answering.indices].sigmoid()[:, None]
    torch.testing.assert_close(training.tokens[1:], answering.tokens[1:] * factor)


def test_linear_maps_get_rows_and_no_vectors() -> None:
    """For a vector DeepSpeed 0.16 returns a gradient of the weight under ZeRO-3 that is a single number."""
    selector, seen = make("prompt_topk"), []
    selector.text_query_projection.register_forward_pre_hook(lambda _, given: seen.append(given[0].dim()))
    selector(random_bags([30, 7]), 5)
    assert seen == [2, 2]


@pytest.mark.parametrize("name", ["prumerge", "prumerge_adaptive", "prompt_topk"])
def test_half_precision_stays_close(name: str) -> None:
    bags, selector = random_bags([40]), make(name)
    exact = selector(bags, 9)
    halved = {key: getattr(bags, key).bfloat16() for key in ("tokens", "cls", "prompt", "keys")}
    got = selector.bfloat16()(replace(bags, **halved), 9)
    assert got.tokens.dtype == torch.bfloat16
    same = [row for row in got.indices.tolist() if row in exact.indices.tolist()]
    assert len(same) >= 7
    assert got.tokens.isfinite().all()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("prumerge", {"k": 3}, r"prumerge has no option \['k'\]; it has: k_per_token, layer"),
        ("prumerge", {"k_per_token": 0}, "k_per_token must be at least 1, got 0"),
        ("kmeans", {"rounds": 0}, "rounds must be at least 1, got 0"),
        ("stride", {"layer": 1}, r"stride has no option \['layer'\]; it has: none"),
    ],
)
def test_options_judge_themselves(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(PathPluginsError, match=message):
        resolve_selector(name, options)
