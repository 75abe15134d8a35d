"""Shape of a gated-attention slide encoder, and what it expects of a bag; imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.bags.contract import BagContract


@dataclass(kw_only=True)
class AbmilConfig:
    """Options of ``abmil``; those of a checkpoint follow from the shapes of its tensors. The defaults are CHIEF's."""

    feature_dim: int = 768
    """D, width of the features."""
    hidden_dim: int = 512
    """C, width behind the first layer."""
    attention_dim: int = 256
    """Width of the two gates."""
    tokens: Literal["embedded", "features"] = "embedded"
    """What the connector sees: the patches behind the first layer and their mean by attention, as the encoder's own
    classifier does; or the features as they are and their mean by that attention, which is CHIEF's slide feature."""
    encoder: str | None = None
    """Patch encoder whose features it was trained on; bags that name another are refused."""

    def __post_init__(self) -> None:
        sizes = (self.feature_dim, self.hidden_dim, self.attention_dim)
        if not all(isinstance(size, int) and size >= 1 for size in sizes):
            raise PathPluginsError(
                f"vision_config: feature_dim, hidden_dim and attention_dim must be positive integers, got {sizes}"
            )
        if self.tokens not in ("embedded", "features"):
            raise PathPluginsError(f"vision_config: tokens must be embedded or features, got {self.tokens!r}")


def abmil_expects(options: Mapping[str, Any]) -> BagContract:
    """Return what such a tower expects of a bag: one width, and no positions."""
    return BagContract(
        feature_dim=options.get("feature_dim"),
        frame_mpp=None,
        grid=None,
        expects_encoder=options.get("encoder"),
        slide_token=True,
    )
