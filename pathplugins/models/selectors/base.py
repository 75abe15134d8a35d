"""What every token selector promises.

Bags are ragged and packed along the first dimension: bag i owns ``counts[i]`` consecutive rows.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn


class Selection(NamedTuple):
    """Chosen tokens of every bag."""

    tokens: Tensor
    """[sum of counts, C], packed; the slide's CLS token first in each bag where the tower has one."""
    indices: Tensor
    """[sum of kept, ] int64: rows kept, counted within each bag, ascending; CLS is not listed."""
    counts: list[int]
    """Tokens per bag, CLS included."""


class TokenSelector(nn.Module):
    """Base class: subclasses say which rows of a bag to keep and, from the bag's size alone, how many."""

    @staticmethod
    def num_tokens(rows: int, budget: int) -> int:
        """Tokens kept of a bag of ``rows`` patches, CLS not counted. Known before a feature is read."""
        raise NotImplementedError

    def keep(self, counts: list[int], budget: int, seeds: list[int]) -> list[Tensor]:
        """Per bag: int64 rows to keep, ascending, ``num_tokens(counts[i], budget)`` of them."""
        raise NotImplementedError

    def forward(
        self,
        tokens: Tensor,
        coords: Tensor,
        counts: list[int],
        budget: int,
        *,
        cls: Tensor | None = None,
        seeds: list[int] | None = None,
    ) -> Selection:
        """Choose tokens.

        Args:
            tokens: [sum N, C] vision tokens.
            coords: [sum N, 2] int64 positions, for selectors that look at them.
            counts: N per bag.
            budget: at most so many tokens per bag; a bag with fewer keeps all.
            cls: [B, C] slide token, put in front of each bag.
            seeds: one per bag; the same seed chooses the same rows on every machine.
        """
        del coords
        kept = self.keep(counts, budget, seeds if seeds is not None else [0] * len(counts))
        rows, offset = [], 0 if cls is None else len(counts)
        for bag, (indices, count) in enumerate(zip(kept, counts)):
            if cls is not None:
                rows.append(torch.tensor([bag]))
            rows.append(indices + offset)
            offset += count
        pool = tokens if cls is None else torch.cat([cls, tokens])  # [B + sum N, C]
        chosen = pool.index_select(0, torch.cat(rows).to(pool.device))  # [sum kept + B, C]
        extra = 0 if cls is None else 1
        return Selection(chosen, torch.cat(kept), [len(indices) + extra for indices in kept])
