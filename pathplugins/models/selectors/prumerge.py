"""``prumerge``, ``prumerge_adaptive``: keep what the class token looks at, and merge what is dropped into it.

Sources: LLaVA-PruMerge (Shang et al., arXiv:2403.15388) and its variant in WSI-LLaVA (UCL); the computation follows
them, no code does. Axes: N tokens of an image, K kept, M neighbours merged into each, C width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from pathplugins.models.selectors.base import Candidates, Kept, TokenSelector

BLOCK_SCORES = 2**23
"""Similarities held at a time: 32 MiB. Smaller blocks make the matrix product slower, the whole would be K x N."""
TILE = 1024
"""Keys normalised at a time: copies of all of them would cost more than the choice of neighbours."""


class PruMerge(TokenSelector):
    """Keep the ``budget`` tokens of highest class-token attention; add to each a mean of its nearest dropped ones.

    ``out = token + sum(a f) / (sum(a) + 1e-6)`` over the ``k_per_token`` dropped tokens f whose keys are nearest by
    cosine, a their attention; of fewer dropped ones all are merged. As published, but for the order: rows keep
    their order. An image within the budget is kept as it is.

    Args:
        vision_width: C.
        prompt_width: H.
        k_per_token: M.
        layer: whose attention; None is the last one that runs, the published 11 of the released slide encoder.
    """

    needs_attention = True

    def __init__(
        self, vision_width: int, prompt_width: int, *, k_per_token: int = 32, layer: int | None = None
    ) -> None:
        super().__init__(vision_width, prompt_width)
        if k_per_token < 1:
            raise ValueError(f"k_per_token must be at least 1, got {k_per_token}")
        self.k_per_token, self.layer = k_per_token, layer

    def select(self, candidates: Candidates, budget: int) -> Kept:
        """Choose rows by attention; ties go to the first row."""
        count, attention = len(candidates.tokens), candidates.attention
        kept = torch.zeros(count, dtype=torch.bool, device=attention.device)
        kept[attention.argsort(descending=True, stable=True)[:budget]] = True
        rows, dropped = kept.nonzero()[:, 0], (~kept).nonzero()[:, 0]  # [K], [N - K]
        if not len(rows) or not len(dropped):
            return Kept(rows, candidates.tokens.index_select(0, rows), attention)
        near = dropped[nearest(candidates.keys, rows, dropped, self.k_per_token)]  # [K, M]
        weights = attention[near]
        merged = merge(candidates.tokens, rows, near, weights / (weights.sum(1, keepdim=True) + 1e-6))
        return Kept(rows, merged, attention)


class PruMergeAdaptive(TokenSelector):
    """The original LLaVA-PruMerge: how many tokens are kept, their attention decides.

    Kept are the outliers, attention above Q3 + 1.5 (Q3 - Q1), at least one; with ``supplement`` (PruMerge+) also evenly
    spaced rows, about three to an outlier. ``out = token + sum(a f)`` over the nearest of all other tokens, and one
    token more: ``sum(a f)`` over the dropped ones. What exceeds the budget goes, spaced rows first.

    Args:
        vision_width: C.
        prompt_width: H.
        k_per_token: tokens merged into each kept one.
        layer: whose attention; None is the last one that is kept; the published one is kept with ``looks_ahead``,
            an option of CLIP towers.
        supplement: PruMerge+.
    """

    needs_attention = True
    adaptive = True

    def __init__(
        self,
        vision_width: int,
        prompt_width: int,
        *,
        k_per_token: int = 32,
        layer: int | None = None,
        supplement: bool = True,
    ) -> None:
        super().__init__(vision_width, prompt_width)
        if k_per_token < 1:
            raise ValueError(f"k_per_token must be at least 1, got {k_per_token}")
        self.k_per_token, self.layer, self.supplement = k_per_token, layer, supplement

    def select(self, candidates: Candidates, budget: int) -> Kept:
        """Choose at least one row, where the budget allows any."""
        count, attention = len(candidates.tokens), candidates.attention
        most = self.num_tokens(count, budget)
        rows = self._rows(attention.detach(), most)
        if count == 1 or not len(rows):
            return Kept(rows, candidates.tokens.index_select(0, rows), attention)
        near = nearest(candidates.keys, rows, torch.arange(count, device=rows.device), self.k_per_token)  # [K, M]
        tokens = merge(candidates.tokens, rows, near, attention[near])
        if len(rows) < most:
            dropped = attention.index_fill(0, rows, 0)  # [N]
            rest = (dropped @ candidates.tokens.to(dropped.dtype)).to(tokens.dtype)
            tokens = torch.cat([tokens, rest[None]])
        return Kept(rows, tokens, attention)

    def _rows(self, attention: Tensor, most: int) -> Tensor:
        """Return the rows to keep, so few that the token for the dropped ones finds room."""
        count = len(attention)
        low, high = torch.quantile(attention, attention.new_tensor([0.25, 0.75]))
        rank = (attention > high + 1.5 * (high - low)).int() * 2
        rank[attention.argmax()] = 2
        outliers = int((rank == 2).sum())
        if self.supplement:
            rank[:: max(1, count // outliers // 3)].clamp_min_(1)
        wanted = int((rank > 0).sum())
        room = most if wanted == count or most < 2 else most - 1
        order = attention.argsort(descending=True, stable=True)
        order = order[rank[order].argsort(descending=True, stable=True)]  # by rank, and by attention within each
        return order[: min(wanted, room)].sort().values


def nearest(keys: Tensor, rows: Tensor, pool: Tensor, count: int) -> Tensor:
    """Return the ``count`` members of ``pool`` nearest to each of ``rows``, itself left out; all of a smaller pool.

    Args:
        keys: [N, C'].
        rows: [K] rows of ``keys``.
        pool: [P] rows of ``keys``.
        count: neighbours wanted.

    Returns:
        [K, min(count, P or P - 1)] int64 places in ``pool``, of highest cosine. There is no gradient.
    """
    with torch.no_grad():
        own = torch.searchsorted(pool, rows)
        inside = pool[own.clamp_max(len(pool) - 1)] == rows
        count = min(count, len(pool) - int(bool(inside.any())))
        # The length of a row's own key changes nothing of the order of its neighbours.
        scale = torch.linalg.vector_norm(keys, dim=-1, dtype=torch.float32).clamp_min(1e-12).reciprocal()  # [N]
        found = []
        for start in range(0, len(rows), step := max(1, BLOCK_SCORES // len(pool))):
            block = slice(start, start + step)
            queries = keys.index_select(0, rows[block]).float()
            likeness = queries.new_empty(len(queries), len(pool))  # [block, P]
            for first in range(0, len(pool), TILE):
                some = pool[first : first + TILE]
                others = keys.index_select(0, some).float() * scale[some, None]
                torch.mm(queries, others.T, out=likeness[:, first : first + TILE])
            here = inside[block].nonzero()[:, 0]
            likeness[here, own[block][here]] = -torch.inf
            found.append(likeness.topk(count, dim=1).indices)
        return torch.cat(found)


def merge(tokens: Tensor, rows: Tensor, near: Tensor, weights: Tensor) -> Tensor:
    """Return each of ``rows`` plus the weighted sum of its neighbours.

    One pass over the rows that are named, and one gradient [N, C], without a [K, M, C] copy of them.

    Args:
        tokens: [N, C].
        rows: [K] rows of ``tokens``.
        near: [K, M] rows of ``tokens``.
        weights: [K, M].

    Returns:
        [K, C], summed in float32, in the type of ``tokens``.
    """
    named = torch.cat([rows[:, None], near], 1)  # [K, M + 1]
    factors = torch.cat([torch.ones_like(weights[:, :1]), weights], 1).float()
    return F.embedding_bag(named, tokens.float(), per_sample_weights=factors, mode="sum").to(tokens.dtype)
