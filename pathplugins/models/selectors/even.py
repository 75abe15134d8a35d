"""``stride``, ``linspace`` and ``spatial``: even coverage of a slide, without looking at its tokens."""

from __future__ import annotations

from torch import Tensor

from pathplugins.data.even_rows import linspace_rows, middles, spatial_rows
from pathplugins.models.selectors.base import Candidates, Kept, TokenSelector


class Stride(TokenSelector):
    """Every N / K-th row: even in the order in which the patches were stored."""

    def select(self, candidates: Candidates, budget: int) -> Kept:
        """Choose the row in the middle of each of K equal stretches."""
        return _kept(candidates, middles(len(candidates.tokens), budget))


class Linspace(TokenSelector):
    """``floor(linspace(0, N - 1, K))``: even in the order of the rows, with the first and the last (SlideChat)."""

    def select(self, candidates: Candidates, budget: int) -> Kept:
        """Choose the rows that `numpy.linspace` gives."""
        return _kept(candidates, linspace_rows(len(candidates.tokens), budget))


class Spatial(TokenSelector):
    """Even over the tissue: each of K patches of near-equal area gives one, whatever the order of the rows."""

    needs_positions = True

    def select(self, candidates: Candidates, budget: int) -> Kept:
        """Choose rows along a curve over the slide; they stay in the order of the candidates."""
        return _kept(candidates, spatial_rows(candidates.coords, budget))


def _kept(candidates: Candidates, rows: Tensor) -> Kept:
    rows = rows.to(candidates.tokens.device)
    return Kept(rows, candidates.tokens.index_select(0, rows))
