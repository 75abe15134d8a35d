"""What every token selector promises.

Bags are ragged and packed along the first dimension: bag i owns ``counts[i]`` consecutive rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class Bags:
    """What a selector may look at; a selector that needs more (attention, the prompt) adds a field here."""

    tokens: Tensor
    """[sum N, C] vision tokens."""
    coords: Tensor
    """[sum N, 2] int64 positions."""
    counts: list[int]
    """N per bag."""
    seeds: list[int]
    """One per bag; the same seed chooses the same rows on every machine."""
    cls: Tensor | None = None
    """[I, C] slide token of every bag."""


class Selection(NamedTuple):
    """Chosen tokens of every bag."""

    tokens: Tensor
    """[sum of counts, C], packed; the slide's CLS token first in each bag where the tower has one."""
    indices: Tensor
    """[sum of kept] int64: rows kept, counted within each bag, ascending; CLS is not listed."""
    counts: list[int]
    """Tokens per bag, CLS included."""


class TokenSelector(nn.Module):
    """Base class: subclasses say which rows of a bag to keep and, from the bag's size alone, how many.

    A selector whose tokens are not rows of the bag (merged ones) overrides ``forward`` instead of ``keep``.
    """

    @staticmethod
    def num_tokens(rows: int, budget: int) -> int:
        """Tokens kept of a bag of ``rows`` patches, CLS not counted. Known before a feature is read."""
        raise NotImplementedError

    def keep(self, bags: Bags, budget: int) -> list[Tensor]:
        """Per bag: int64 rows to keep, ascending, ``num_tokens(counts[i], budget)`` of them."""
        raise NotImplementedError

    def forward(self, bags: Bags, budget: int) -> Selection:
        """Choose tokens of every bag; ``budget`` bounds them for each, CLS not counted."""
        kept = self.keep(bags, budget)
        rows, offset = [], 0 if bags.cls is None else len(bags.counts)
        for bag, (indices, count) in enumerate(zip(kept, bags.counts, strict=True)):
            if bags.cls is not None:
                rows.append(torch.tensor([bag]))
            rows.append(indices.cpu() + offset)
            offset += count
        pool = bags.tokens if bags.cls is None else torch.cat([bags.cls, bags.tokens])  # [I + sum N, C]
        chosen = pool.index_select(0, torch.cat(rows).to(pool.device))  # [sum of kept + I, C]
        extra = 0 if bags.cls is None else 1
        return Selection(chosen, torch.cat(kept), [len(indices) + extra for indices in kept])
