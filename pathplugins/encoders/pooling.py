"""Pool a model's tokens or feature map to one vector a patch.

Axes: B patches, N tokens, C width of the model, h and w of a feature map.
"""

from __future__ import annotations

from typing import Any

from pathplugins.core.optional import need
from pathplugins.published.encoder_card import Pool


def pooled(pool: Pool, model: Any, output: Any) -> Any:
    """Return ``[B, D]`` of the model's output, whose shape ``pool`` implies."""
    if pool == "class+mean":  # [B, N, C]; registers are neither class token nor patch
        return need("torch").cat([output[:, 0], output[:, model.num_prefix_tokens :].mean(1)], dim=-1)  # [B, 2 C]
    if pool == "map mean":
        (feature_map,) = output  # [B, C, h, w]
        return feature_map.mean((2, 3))  # [B, C]
    return output


def feature_width(pool: Pool, model: Any) -> int | None:
    """Return D, or None where only running the model would tell."""
    if pool == "map mean":
        return model.feature_info.channels()[-1]
    width = getattr(model, "num_classes", 0) or getattr(model, "num_features", None)
    return 2 * width if pool == "class+mean" else width
