"""Shape of SlideChat's slide encoder, and what it expects of a bag; imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.bags.contract import BagContract

WIDTH = 512
"""Of CONCH's features, which the published weights read."""
PATCH_ENCODER = "conch"


@dataclass(frozen=True, kw_only=True)
class SlideChatConfig:
    """Shape of a slide encoder; the defaults are the published ``LongNet_encoder``."""

    embed_dim: int = WIDTH
    """Width of the patch features, and of the tokens: there is no projection before the first layer."""
    depth: int = 2
    num_heads: int = 8
    ffn_dim: int = 1024
    attend: bool = False
    """Let the patches of a slide see each other, as the paper describes it. In the published code and weights every
    patch is a sequence of its own; these weights mean nothing with True, which is for new trainings alone."""
    segment_lengths: tuple[int, ...] = (1024, 2048, 4096, 8192, 16384)
    """Of the dilated attention, one entry per branch; unused without ``attend``."""
    dilated_ratios: tuple[int, ...] = (1, 2, 4, 8, 16)
    dropout: float = 0.1
    """In training only: of the input and of both parts of a layer."""
    drop_path_rate: float = 0.1
    """Stochastic depth in training, rising linearly over the layers: drawn per patch, with ``attend`` per slide."""

    def __post_init__(self) -> None:
        for name in ("segment_lengths", "dilated_ratios"):  # JSON has lists only
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for name in ("embed_dim", "depth", "num_heads", "ffn_dim"):
            if getattr(self, name) <= 0:
                raise PathPluginsError(f"{name} must be positive, got {getattr(self, name)}")
        if self.embed_dim % self.num_heads:
            raise PathPluginsError(f"embed_dim must be a multiple of num_heads={self.num_heads}, got {self.embed_dim}")
        if not self.segment_lengths or len(self.segment_lengths) != len(self.dilated_ratios):
            raise PathPluginsError(
                f"one dilated ratio per segment length is needed, got {self.segment_lengths} and {self.dilated_ratios}"
            )
        for name in ("dropout", "drop_path_rate"):
            if not 0 <= getattr(self, name) < 1:
                raise PathPluginsError(f"{name} must be in [0, 1), got {getattr(self, name)}")


def slidechat_expects(options: Mapping[str, Any]) -> BagContract:
    """Return what the tower expects of a bag: features of CONCH where it is as wide as published, and no positions."""
    width = options.get("embed_dim", WIDTH)
    return BagContract(
        feature_dim=width,
        frame_mpp=None,
        grid=None,
        slide_token=False,
        expects_encoder=PATCH_ENCODER if width == WIDTH else None,
    )
