"""``stride`` and ``spatial``: even coverage of a slide, without looking at its tokens."""

from __future__ import annotations

import torch
from torch import Tensor

from pathplugins.models.selectors.base import Candidates, Kept, TokenSelector

_BITS = 16
"""Bits of a coordinate on the curve: 65,536 steps along the longer side, more than a slide has patches."""


class Stride(TokenSelector):
    """Every N / K-th row: even in the order in which the patches were stored."""

    def select(self, candidates: Candidates, budget: int) -> Kept:
        """Choose the row in the middle of each of K equal stretches."""
        rows = _middles(len(candidates.tokens), budget, candidates.tokens.device)
        return Kept(rows, candidates.tokens.index_select(0, rows))


class Spatial(TokenSelector):
    """Even over the tissue: each of K patches of near-equal area gives one, whatever the order of the rows.

    The patches are sorted along a Z-order curve (Morton 1966), cut into K equal stretches, and the middle of each is
    kept. A stretch of the curve is a compact region, so this is stratified sampling on a grid that is finer where
    patches are denser; N log N, where farthest-point sampling takes K passes over all patches.
    """

    def select(self, candidates: Candidates, budget: int) -> Kept:
        """Choose rows; they stay in the order of the candidates."""
        along = z_order(candidates.coords).argsort(stable=True)
        rows = along[_middles(len(candidates.tokens), budget, along.device)].sort().values.to(candidates.tokens.device)
        return Kept(rows, candidates.tokens.index_select(0, rows))


def z_order(coords: Tensor) -> Tensor:
    """Return each position's place on the Z-order curve over their bounding square: ``[N, 2]`` to ``[N]``, int64."""
    low, high = coords.amin(0), coords.amax(0)
    span = (high - low).amax().clamp_min(1)
    cells = torch.div((coords - low) * (2**_BITS - 1), span, rounding_mode="floor")
    bits = torch.arange(_BITS, device=coords.device)
    spread = ((cells[..., None] >> bits) & 1) << (2 * bits)  # [N, 2, bits], every other bit
    x, y = spread.sum(-1).unbind(-1)
    return x | (y << 1)


def _middles(count: int, budget: int, device: torch.device) -> Tensor:
    """Return the middles of ``min(count, budget)`` equal stretches of ``count`` rows, ascending and all different."""
    kept = min(count, budget)
    return (2 * torch.arange(kept, device=device) + 1) * count // (2 * max(kept, 1))
