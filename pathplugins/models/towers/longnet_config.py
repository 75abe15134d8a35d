"""Shape of GigaPath's slide encoder, and what it expects of a bag; imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.bags.contract import BagContract
from pathplugins.published.slide_encoders import GIGAPATH


@dataclass(frozen=True, kw_only=True)
class LongNetConfig:
    """Shape of a slide encoder; the defaults are the released ``gigapath_slide_enc12l768d``."""

    in_chans: int = GIGAPATH.feature_dim
    """Width of the patch features."""
    embed_dim: int = 768
    depth: int = 12
    num_heads: int = 16
    mlp_ratio: float = 4.0
    segment_lengths: tuple[int, ...] = (1024, 5792, 32768, 185363, 1048576)
    """Tokens per segment, one entry per branch: int(2 ** linspace(10, 20, 5))."""
    dilated_ratios: tuple[int, ...] = (1, 2, 4, 8, 16)
    """Every how many tokens a head looks, one entry per branch."""
    tile_size: int = GIGAPATH.tile_px
    """Side of a grid cell in pixels of the tiled level."""
    grid_size: int = GIGAPATH.grid
    """Grid cells per side; the weights know no position beyond."""
    dropout: float = 0.0
    """In training only. Upstream trains with 0.25; 0 here because the tower is usually frozen."""
    drop_path_rate: float = 0.0
    """Stochastic depth per bag, in training only, rising linearly over the layers. Upstream trains with 0.1."""

    def __post_init__(self) -> None:
        for name in ("segment_lengths", "dilated_ratios"):  # JSON has lists only
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for name in ("in_chans", "embed_dim", "depth", "num_heads", "mlp_ratio", "tile_size", "grid_size"):
            if getattr(self, name) <= 0:
                raise PathPluginsError(f"{name} must be positive, got {getattr(self, name)}")
        if self.embed_dim % self.num_heads or self.embed_dim % 4:
            raise PathPluginsError(
                f"embed_dim must be a multiple of num_heads={self.num_heads} and 4, got {self.embed_dim}"
            )
        lengths, ratios = self.segment_lengths, self.dilated_ratios
        if not lengths or len(lengths) != len(ratios):
            raise PathPluginsError(f"one dilated ratio per segment length is needed, got {lengths} and {ratios}")
        if any(ratio < 1 or length < ratio for length, ratio in zip(lengths, ratios, strict=True)):
            raise PathPluginsError(
                f"ratios must be in [1, segment length], got segment_lengths {lengths}, ratios {ratios}"
            )
        for name in ("dropout", "drop_path_rate"):
            if not 0 <= getattr(self, name) < 1:
                raise PathPluginsError(f"{name} must be in [0, 1), got {getattr(self, name)}")

    @property
    def ffn_dim(self) -> int:
        """Width between the two linears of the feed-forward part."""
        return round(self.embed_dim * self.mlp_ratio)


def longnet_expects(options: Mapping[str, Any]) -> BagContract:
    """Return what a slide encoder with these options expects of a bag.

    Features as wide as the released weights take them are those of GigaPath's patch encoder; an encoder of another
    width was trained by somebody else, on features that nobody has named.
    """
    width = options.get("in_chans", GIGAPATH.feature_dim)
    return BagContract(
        feature_dim=width,
        frame_mpp=GIGAPATH.frame_mpp,
        tile_px=options.get("tile_size", GIGAPATH.tile_px),
        grid=options.get("grid_size", GIGAPATH.grid),
        expects_encoder=GIGAPATH.patch_encoder if width == GIGAPATH.feature_dim else None,
    )
