"""Published slide encoders: what each was trained to read, one row each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class SlideEncoder:
    """One published slide encoder, described by the patches its authors gave it."""

    name: str
    patch_encoder: str
    """Name of the patch encoder whose features it was trained on."""
    feature_dim: int
    """Width of those features."""
    frame_mpp: float
    """Microns per pixel of the positions it is given."""
    tile_px: int
    """Side of a grid cell, pixels at ``frame_mpp``."""
    grid: int
    """Cells per side of its grid; the weights know no position beyond."""
    source: str


GIGAPATH = SlideEncoder(
    name="gigapath",
    patch_encoder="gigapath",
    feature_dim=1536,
    frame_mpp=0.5,
    tile_px=256,
    grid=1000,
    source="https://github.com/prov-gigapath/prov-gigapath at 09d8e87 (README, gigapath/slide_encoder.py)",
)
