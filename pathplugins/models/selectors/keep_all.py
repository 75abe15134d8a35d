"""``none``: every token reaches the connector."""

from __future__ import annotations

import torch

from pathplugins.models.selectors.base import Candidates, Kept, TokenSelector


class KeepAll(TokenSelector):
    """Keep all tokens; the budget is not looked at."""

    @staticmethod
    def num_tokens(rows: int, budget: int) -> int:
        """Return ``rows``."""
        return rows

    def select(self, candidates: Candidates, budget: int) -> Kept:
        """Choose every row."""
        return Kept(torch.arange(len(candidates.tokens), device=candidates.tokens.device), candidates.tokens)
