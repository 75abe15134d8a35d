"""``none``: every token reaches the connector."""

from __future__ import annotations

import torch
from torch import Tensor

from pathplugins.models.selectors.base import Bags, TokenSelector


class KeepAll(TokenSelector):
    """Keep all tokens; the budget is not looked at."""

    @staticmethod
    def num_tokens(rows: int, budget: int) -> int:
        """All of them."""
        return rows

    def keep(self, bags: Bags, budget: int) -> list[Tensor]:
        """Every row of every bag."""
        return [torch.arange(count) for count in bags.counts]
