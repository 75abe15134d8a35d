"""k-means rows against a slow version in float64 that goes row by row, and against clusters that are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pathplugins.data import k_means
from pathplugins.data.k_means import ROWS_PER_CENTRE, k_means_rows

torch = pytest.importorskip("torch")


def slow(features: np.ndarray, k: int, seed: int, rounds: int) -> list[int]:
    """Row by row, with differences instead of norms; the same random numbers."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(features), generator=generator).tolist()
    shares = torch.rand(k, generator=generator, dtype=torch.float64).tolist()
    x = [features[row] for row in sorted(order[: ROWS_PER_CENTRE * k])]
    centres = [x[int(shares[0] * len(x))]]
    for share in shares[1:]:
        away = [min(((row - centre) ** 2).sum() for centre in centres) for row in x]
        target, along = share * sum(away), 0.0
        for row, distance in zip(x, away, strict=True):
            along += distance
            if along > target:
                centres.append(row)
                break

    def nearest(row: np.ndarray) -> tuple[float, int]:
        return min((((row - centre) ** 2).sum(), at) for at, centre in enumerate(centres))

    for _ in range(rounds):
        labels = [nearest(row)[1] for row in x]
        for at in range(k):
            members = [row for row, label in zip(x, labels, strict=True) if label == at]
            centres[at] = np.mean(members, axis=0) if members else centres[at]
    found = [(*nearest(row), number) for number, row in enumerate(features)]
    rows = []
    for at in range(k):
        members = [(distance, number) for distance, label, number in found if label == at]
        rows += [number for distance, number in members if distance <= min(members)[0] * 1.001][:1]
    rest = sorted((-distance, number) for distance, _, number in found if number not in rows)
    return sorted(rows + [number for _, number in rest[: k - len(rows)]])


@pytest.mark.parametrize(("n", "c", "k", "rounds"), [(200, 5, 4, 10), (90, 3, 17, 2), (13, 2, 12, 1), (50, 7, 1, 3)])
@pytest.mark.parametrize("blocks", [2**22, 64])
def test_the_rows_are_those_of_a_slow_version(
    monkeypatch: pytest.MonkeyPatch, n: int, c: int, k: int, rounds: int, blocks: int
) -> None:
    monkeypatch.setattr(k_means, "BLOCK_DISTANCES", blocks)
    features = torch.randn(n, c, dtype=torch.float64, generator=torch.Generator().manual_seed(n)) + 50
    rows = k_means_rows(features, k, seed=3, rounds=rounds)
    assert rows.dtype == torch.int64
    assert rows.tolist() == slow(features.numpy(), k, 3, rounds)


def clusters(sizes: list[int], width: int = 16) -> Any:
    generator = torch.Generator().manual_seed(1)
    centres = 20 * torch.randn(len(sizes), width, generator=generator)
    kinds = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    kinds = kinds[torch.randperm(len(kinds), generator=generator)]
    return centres[kinds] + torch.randn(len(kinds), width, generator=generator), kinds


@pytest.mark.parametrize("seed", range(5))
def test_what_is_rare_is_kept(seed: int) -> None:
    """Of nine kinds, four have a hundredth of the patches: a draw of nine rows misses three or more."""
    features, kinds = clusters([400, 300, 200, 100, 80, 9, 8, 7, 6])
    assert len(kinds[k_means_rows(features, 9, seed=seed)].unique()) >= 7
    assert len(kinds[k_means_rows(features, 18, seed=seed)].unique()) == 9
    drawn = torch.randperm(len(kinds), generator=torch.Generator().manual_seed(seed))[:9]
    assert len(kinds[drawn].unique()) < 7


def test_repeated_rows_give_as_many_as_were_asked_for() -> None:
    features = torch.tensor([[1.0, 2.0]]).repeat(40, 1)
    features[7] = 5
    rows = k_means_rows(features, 6, seed=0).tolist()
    assert len({*rows}) == 6
    assert 7 in rows
    same = k_means_rows(torch.ones(30, 3), 4, seed=0)
    assert len(same.unique()) == 4


def test_the_seed_decides_and_half_precision_is_computed_in_full() -> None:
    features, _ = clusters([50] * 6)
    first = k_means_rows(features, 12, seed=4)
    assert torch.equal(first, k_means_rows(features.clone(), 12, seed=4))
    assert not torch.equal(first, k_means_rows(features, 12, seed=5))
    halved = features.bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        under = k_means_rows(halved, 12, seed=4)
    assert torch.equal(under, k_means_rows(halved.float(), 12, seed=4))


@pytest.mark.parametrize(("k", "wanted"), [(0, 0), (5, 5), (9, 5)])
def test_few_rows_stay_whole(k: int, wanted: int) -> None:
    assert k_means_rows(torch.randn(5, 3), k, seed=0).tolist() == [*range(wanted)]
