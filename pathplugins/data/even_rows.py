"""Even rows: some of the patches of a slide, even over its tissue or in the order in which they are stored.

Tensors of PyTorch, which is imported when a function is called. Axes: N patches, K of them taken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pathplugins.core.optional import need

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_BITS = 16
"""Bits of a coordinate on the curve: 65,536 steps along the longer side, more than a slide has patches."""


def spatial_rows(coords: Tensor, k: int) -> Tensor:
    """Return K = min(N, k) rows even over the tissue, ascending, int64.

    The patches are sorted along a Z-order curve (Morton 1966), cut into K equal stretches, and the middle of each is
    taken. A stretch of the curve is a compact region, so this is stratified sampling on a grid that is finer where
    patches are denser; N log N, where farthest-point sampling takes K passes over all patches.

    Args:
        coords: ``[N, 2]`` int64, in any unit and frame.
        k: Rows wanted.
    """
    along = z_order(coords).argsort(stable=True)
    return along[middles(len(coords), k, along.device)].sort().values


def z_order(coords: Tensor) -> Tensor:
    """Return each position's place on the Z-order curve over their bounding square: ``[N, 2]`` to ``[N]``, int64."""
    torch = need("torch")
    low, high = coords.amin(0), coords.amax(0)
    span = (high - low).amax().clamp_min(1)
    cells = torch.div((coords - low) * (2**_BITS - 1), span, rounding_mode="floor")
    bits = torch.arange(_BITS, device=coords.device)
    spread = ((cells[..., None] >> bits) & 1) << (2 * bits)  # [N, 2, bits], every other bit
    x, y = spread.sum(-1).unbind(-1)
    return x | (y << 1)


def middles(count: int, k: int, device: torch.device | None = None) -> Tensor:
    """Return the middles of ``min(count, k)`` equal stretches of ``count`` rows, ascending and all different, int64."""
    kept = min(count, k)
    return (2 * need("torch").arange(kept, device=device) + 1) * count // (2 * max(kept, 1))


def linspace_rows(count: int, k: int) -> Tensor:
    """Return ``floor(linspace(0, count - 1, k))``, on the CPU, int64; all rows where there are not more than ``k``.

    The numbers of ``numpy.linspace(0, count - 1, k, dtype=int)``, its rounding included: SlideChat takes its rows so.
    The first and the last row are among them.
    """
    torch = need("torch")
    if count <= k:
        return torch.arange(count)
    steps = torch.arange(k, dtype=torch.float64)
    rows = (steps * ((count - 1) / (k - 1)) if k > 1 else steps).floor().long()
    if k > 1:
        rows[-1] = count - 1  # a product may fall short of it
    return rows
