"""``random_sample``: a seeded random subset (WSI-LLaVA, UCL)."""

from __future__ import annotations

import torch

from pathplugins.models.selectors.base import Bag, Kept, TokenSelector


class RandomSample(TokenSelector):
    """Keep ``budget`` rows drawn without replacement, in their order in the bag; all rows of a smaller bag.

    The published code draws anew at every call, also in evaluation and generation, and pads a small bag with zero rows.
    Here the caller's seed decides, so that an answer can be repeated, and nothing is padded.
    """

    def select(self, bag: Bag, budget: int) -> Kept:
        """A sorted draw, on the CPU: the same on every device."""
        count = len(bag.tokens)
        rows = torch.arange(count)
        if count > budget:
            generator = torch.Generator().manual_seed(bag.seed)
            rows = torch.randperm(count, generator=generator)[:budget].sort().values
        rows = rows.to(bag.tokens.device)
        return Kept(rows, bag.tokens.index_select(0, rows))
