"""``none``: every token reaches the connector."""

from __future__ import annotations

import torch

from pathplugins.models.selectors.base import Bag, Kept, TokenSelector


class KeepAll(TokenSelector):
    """Keep all tokens; the budget is not looked at."""

    @staticmethod
    def num_tokens(rows: int, budget: int) -> int:
        """All of them."""
        return rows

    def select(self, bag: Bag, budget: int) -> Kept:
        """Every row."""
        return Kept(torch.arange(len(bag.tokens), device=bag.tokens.device), bag.tokens)
