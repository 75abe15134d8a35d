"""Token selectors: how many, which, and packed how (features W27, W30)."""

from __future__ import annotations

import pytest
import torch

from pathplugins.models.selectors import SELECTORS
from pathplugins.models.selectors.base import Bags, Selection, TokenSelector

COUNTS = [4, 1, 9, 6]


def bags(counts: list[int], *, cls: bool = True, seeds: list[int] | None = None) -> Bags:
    """Token j of bag i is (i, j); its CLS is (i, -1)."""
    tokens = torch.tensor([[i, j] for i, n in enumerate(counts) for j in range(n)], dtype=torch.float32)
    heads = torch.tensor([[i, -1] for i in range(len(counts))], dtype=torch.float32)
    return Bags(
        tokens=tokens,
        coords=tokens.long(),
        counts=counts,
        seeds=seeds or list(range(len(counts))),
        cls=heads if cls else None,
    )


@pytest.mark.parametrize("name", list(SELECTORS))
@pytest.mark.parametrize("budget", [0, 1, 4, 6, 100])
@pytest.mark.parametrize("cls", [True, False])
def test_every_selector_keeps_what_it_promises(name: str, budget: int, cls: bool) -> None:
    selector: TokenSelector = SELECTORS.get(name)()
    got: Selection = selector(bags(COUNTS, cls=cls), budget)
    assert got.counts == [selector.num_tokens(n, budget) + cls for n in COUNTS]
    assert got.tokens.shape == (sum(got.counts), 2)
    kept = iter(got.indices.split([count - cls for count in got.counts]))
    for bag, tokens in enumerate(got.tokens.split(got.counts)):
        rows = next(kept)
        wanted = ([[bag, -1]] if cls else []) + [[bag, row] for row in rows.tolist()]
        assert tokens.tolist() == wanted
        assert rows.tolist() == sorted(set(rows.tolist()))
        assert rows.dtype == torch.int64


def test_some_selectors_were_found() -> None:
    assert {"none", "random_sample"} <= set(SELECTORS)


def test_the_seed_of_a_bag_decides_alone() -> None:
    select = SELECTORS.get("random_sample")()
    first = select(bags([30, 40], seeds=[5, 6]), 8)
    assert torch.equal(select(bags([30, 40], seeds=[5, 6]), 8).indices, first.indices)
    swapped = select(bags([40, 30], seeds=[6, 5]), 8)
    assert torch.equal(swapped.indices.view(2, 8).flip(0), first.indices.view(2, 8))
    other = select(bags([30, 40], seeds=[5, 7]), 8).indices.view(2, 8)
    assert torch.equal(other[0], first.indices[:8])
    assert not torch.equal(other[1], first.indices[8:])


def test_every_row_is_as_likely() -> None:
    select = SELECTORS.get("random_sample")()
    drawn = select(bags([10] * 2000), 3).indices.bincount(minlength=10)
    assert drawn.sum() == 6000
    assert drawn.min() > 500
    assert drawn.max() < 700


def test_gradients_reach_the_kept_tokens_alone() -> None:
    packed = bags([9])
    packed.tokens.requires_grad_()
    got = SELECTORS.get("random_sample")()(packed, 4)
    got.tokens.sum().backward()
    assert packed.tokens.grad.sum(1).nonzero()[:, 0].tolist() == got.indices.tolist()
