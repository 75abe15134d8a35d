"""What a vision tower expects of the feature bags it reads."""

from __future__ import annotations

from dataclasses import dataclass

from pathplugins.published.slide_encoders import GIGAPATH


@dataclass(frozen=True, kw_only=True)
class BagContract:
    """The features and positions a tower takes; the defaults take any features in GigaPath's frame and grid."""

    feature_dim: int | None = None
    """D, width of the features; None takes any."""
    frame_mpp: float = GIGAPATH.frame_mpp
    """Microns per pixel of the positions the tower is given."""
    tile_px: int = GIGAPATH.tile_px
    """Side of a grid cell, pixels at ``frame_mpp``."""
    grid: int | None = GIGAPATH.grid
    """Cells per side of the tower's square grid; None for a tower without one, which takes any position."""
    expects_encoder: str | None = None
    """Name of the patch encoder the tower was trained on; None takes features of any one encoder."""
