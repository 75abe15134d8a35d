"""Rows by k-means: of each of K clusters of features, the row that is nearest to its centre.

Work is bounded: centres are found on at most ``ROWS_PER_CENTRE`` K rows (seeds by k-means++, Arthur and
Vassilvitskii 2007, then rounds of Lloyd's algorithm), and all rows are compared with them once. With R rows to find the
centres on and T rounds that is about ``2 R K C (2 T + 1) + 2 N K C`` FLOPs, nearly all in matrix products: 56 GFLOP for
256 of 40,000 x 512. Sums are products as well, not scattered additions, whose order differs from run to run on a GPU.

Tensors of PyTorch, which is imported when a function is called. Axes: N rows, C features, K centres, R rows drawn.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pathplugins.core.optional import need

if TYPE_CHECKING:
    from torch import Tensor

ROWS_PER_CENTRE = 32
"""Rows drawn for each centre."""
ROUNDS = 10
"""Rounds of Lloyd's algorithm, unless the clusters stand still before."""
BLOCK_DISTANCES = 2**22
"""Numbers held at a time: 16 MiB in float32."""
_EQUALLY_NEAR = 1e-3


def k_means_rows(features: Tensor, k: int, *, seed: int, rounds: int = ROUNDS) -> Tensor:
    """Return min(N, k) different rows, one of each cluster, ascending, int64.

    A row belongs to the nearest centre (Euclidean); of each cluster the nearest row is taken, the first of those whose
    squared distance is within a thousandth of the least: two rows of one cluster are equally far from their mean but
    for rounding. A centre that no row belongs to, as where rows repeat, gives its place to the row that is farthest
    from its own centre. All random numbers are drawn on the CPU from ``seed``.

    Args:
        features: ``[N, C]``, any floating type; half precision is computed in float32.
        k: Rows wanted.
        seed: Decides the rows drawn and the first centres.
        rounds: Most rounds of Lloyd's algorithm.
    """
    torch = need("torch")
    count, device = len(features), features.device
    if k >= count or k < 1:
        return torch.arange(min(count, max(k, 0)), device=device)
    with torch.no_grad(), torch.autocast(device.type, enabled=False):
        x = features.detach()
        x = x if x.dtype == torch.float64 else x.float()
        x = x - x.mean(0)  # distances come from norms, whose digits a common offset would take
        generator = torch.Generator().manual_seed(seed)
        drawn = torch.randperm(count, generator=generator)[: ROWS_PER_CENTRE * k].sort().values
        sample = x.index_select(0, drawn.to(device))
        centres = _lloyd(sample, _first_centres(sample, k, generator), rounds)
        labels = _nearest(x, centres)
        return _one_of_each(labels, _distances(x, centres, labels), k)


def _first_centres(x: Tensor, k: int, generator: object) -> Tensor:
    """Draw ``[K, C]`` of the rows, each as likely as its squared distance to those drawn before (k-means++)."""
    torch = need("torch")
    shares = torch.rand(k, generator=generator, dtype=torch.float64)
    norms = x.square().sum(1)
    rows = [min(int(shares[0] * len(x)), len(x) - 1)]
    away = torch.full_like(norms, torch.inf)
    for share in shares[1:]:
        centre = x[rows[-1]]
        away = torch.minimum(away, (norms - 2 * (x @ centre) + centre.square().sum()).clamp_min_(0))
        away[rows[-1]] = 0
        along = away.cpu().double().cumsum(0)
        rows.append(min(int(torch.searchsorted(along, share * along[-1], right=True)), len(x) - 1))
    return x[torch.tensor(rows, device=x.device)]


def _lloyd(x: Tensor, centres: Tensor, rounds: int) -> Tensor:
    """Move each centre to the mean of the rows nearest to it, until they stand still; one without rows stays."""
    torch = need("torch")
    last = None
    for _ in range(rounds):
        labels = _nearest(x, centres)
        if last is not None and torch.equal(labels, last):
            break
        sums, sizes = torch.zeros_like(centres), torch.zeros_like(centres[:, :1])
        for part in _blocks(len(x), len(centres)):
            member = torch.nn.functional.one_hot(labels[part], len(centres)).to(x.dtype)  # [R, K]
            sums += member.T @ x[part]
            sizes += member.sum(0)[:, None]
        centres = torch.where(sizes > 0, sums / sizes.clamp_min(1), centres)
        last = labels
    return centres


def _nearest(x: Tensor, centres: Tensor) -> Tensor:
    """Return the nearest centre of each row, ``[N]``."""
    heights = centres.square().sum(1)  # [K]; a row's own norm changes no minimum
    parts = _blocks(len(x), len(centres))
    return need("torch").cat([(heights - 2 * (x[part] @ centres.T)).argmin(1) for part in parts])


def _distances(x: Tensor, centres: Tensor, labels: Tensor) -> Tensor:
    """Return the squared distance of each row to its centre, ``[N]``, by differences: near rows lose no digits."""
    parts = _blocks(*x.shape)
    return need("torch").cat([(x[part] - centres[labels[part]]).square().sum(1) for part in parts])


def _one_of_each(labels: Tensor, distances: Tensor, k: int) -> Tensor:
    """Return the first of the nearest rows of each cluster, and the farthest of all for clusters without rows."""
    torch = need("torch")
    count, device = len(labels), labels.device
    least = torch.full((k,), torch.inf, dtype=distances.dtype, device=device).scatter_reduce(
        0, labels, distances, "amin"
    )
    numbers = torch.where(distances <= least[labels] * (1 + _EQUALLY_NEAR), torch.arange(count, device=device), count)
    first = torch.full((k,), count, device=device).scatter_reduce(0, labels, numbers, "amin")
    rows = first[first < count]
    left = torch.ones_like(labels, dtype=torch.bool)
    left[rows] = False
    others = left.nonzero()[:, 0]
    farthest = distances[others].argsort(descending=True, stable=True)[: k - len(rows)]
    return torch.cat([rows, others[farthest]]).sort().values


def _blocks(count: int, width: int) -> Iterator[slice]:
    size = max(1, BLOCK_DISTANCES // width)
    return (slice(start, start + size) for start in range(0, count, size))
