"""``random_sample``: a seeded random subset (WSI-LLaVA, UCL)."""

from __future__ import annotations

import torch

from pathplugins.models.selectors.base import Candidates, Kept, TokenSelector


class RandomSample(TokenSelector):
    """Keep ``budget`` rows drawn without replacement, in their order; all rows where there are fewer.

    The published code draws anew at every call, also in evaluation and generation, and pads a small slide with zero
    rows. Here the caller's seed decides, so that an answer can be repeated, and nothing is padded.
    """

    def select(self, candidates: Candidates, budget: int) -> Kept:
        """Draw on the CPU, so that the choice is the same on every device; the rows stay in order."""
        count = len(candidates.tokens)
        rows = torch.arange(count)
        if count > budget:
            generator = torch.Generator().manual_seed(candidates.seed)
            rows = torch.randperm(count, generator=generator)[:budget].sort().values
        rows = rows.to(candidates.tokens.device)
        return Kept(rows, candidates.tokens.index_select(0, rows))
