"""A token selector: the patches whose tokens are longest."""

from __future__ import annotations

from pathplugins.models.selectors.base import Candidates, Kept, TokenSelector


class Loudest(TokenSelector):
    """Keep the tokens of the largest norm, in the order of the bag."""

    def select(self, candidates: Candidates, budget: int) -> Kept:
        """Rows by norm."""
        norms = candidates.tokens.float().norm(dim=-1)  # [N]
        rows = norms.topk(self.num_tokens(len(norms), budget)).indices.sort().values  # [K]
        return Kept(rows, candidates.tokens.index_select(0, rows), norms)
