"""``random_sample``: a seeded random subset (WSI-LLaVA, UCL)."""

from __future__ import annotations

import torch
from torch import Tensor

from pathplugins.models.selectors.base import Bags, TokenSelector


class RandomSample(TokenSelector):
    """Keep ``budget`` rows drawn without replacement, in their order in the bag; all rows of a smaller bag.

    The published code draws anew at every call, also in evaluation and generation, and pads a small bag with zero rows.
    Here the caller's seed decides, so that an answer can be repeated, and nothing is padded.
    """

    @staticmethod
    def num_tokens(rows: int, budget: int) -> int:
        """The smaller of the two."""
        return min(rows, budget)

    def keep(self, bags: Bags, budget: int) -> list[Tensor]:
        """Sorted draws, one generator per bag, on the CPU: the same on every device."""
        kept = []
        for count, seed in zip(bags.counts, bags.seeds, strict=True):
            if count <= budget:
                kept.append(torch.arange(count))
            else:
                generator = torch.Generator().manual_seed(seed)
                kept.append(torch.randperm(count, generator=generator)[:budget].sort().values)
        return kept
