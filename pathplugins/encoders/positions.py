"""Position embeddings of another grid, resized as the publishers of an encoder do.

The rules differ in the third decimal of the embeddings, and with them all features: DINO's code counts the new side as
0.1 larger, timm smooths where it shrinks.

Axes: N tokens with positions, C width, g side of the grid of patches.
"""

from __future__ import annotations

import math
from typing import Any

from pathplugins.core.optional import need
from pathplugins.published.encoder_card import Positions


def resized_positions(rule: Positions, embeddings: Any, side: int, *, prefix: int) -> Any:
    """Return ``[1, prefix + side^2, C]`` of position embeddings ``[1, prefix + g^2, C]``.

    Args:
        rule: whose resizing.
        embeddings: those of a file.
        side: patches along one side of the new image.
        prefix: class and register tokens that have positions, which stay as they are.
    """
    torch = need("torch")
    old = grid_side(embeddings, prefix)
    how: dict[str, Any] = {"size": (side, side), "antialias": rule == "timm"}
    if rule == "dino":
        how = {"scale_factor": ((side + 0.1) / old,) * 2}
    grid = embeddings[:, prefix:].unflatten(1, (old, old)).permute(0, 3, 1, 2)  # [1, C, g, g]
    exact = torch.promote_types(grid.dtype, torch.float32)
    grid = torch.nn.functional.interpolate(grid.to(exact), mode="bicubic", align_corners=False, **how)
    return torch.cat([embeddings[:, :prefix], grid.to(embeddings.dtype).flatten(2).transpose(1, 2)], 1)


def grid_side(embeddings: Any, prefix: int) -> int | None:
    """Return g of position embeddings ``[1, prefix + g^2, C]``; None where they are no square of patches."""
    patches = embeddings.shape[1] - prefix if embeddings.ndim == 3 else -1
    side = math.isqrt(max(patches, 0))
    return side if side and side * side == patches else None
