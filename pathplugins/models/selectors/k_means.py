"""``kmeans``: as different tokens as possible, one of each cluster."""

from __future__ import annotations

from pathplugins.data.k_means import ROUNDS, k_means_rows
from pathplugins.models.selectors.base import Candidates, Kept, TokenSelector


class KMeans(TokenSelector):
    """Keep of each of ``budget`` clusters of tokens the one nearest to its centre, as it is.

    What is rare in a slide has a cluster, and so a token, of its own, where a random draw would miss it; what is common
    is kept once for each of its kinds. Nothing is learnt, and gradients reach the kept tokens alone.

    Args:
        vision_width: C.
        prompt_width: H.
        rounds: most rounds of Lloyd's algorithm.
    """

    def __init__(self, vision_width: int, prompt_width: int, *, rounds: int = ROUNDS) -> None:
        super().__init__(vision_width, prompt_width)
        if rounds < 1:
            raise ValueError(f"rounds must be at least 1, got {rounds}")
        self.rounds = rounds

    def select(self, candidates: Candidates, budget: int) -> Kept:
        """Choose rows; they stay in the order of the candidates."""
        rows = k_means_rows(candidates.tokens, budget, seed=candidates.seed, rounds=self.rounds)
        return Kept(rows, candidates.tokens.index_select(0, rows))
