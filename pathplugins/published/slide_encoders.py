"""Published slide encoders: the patch features each was trained to read, its shape, and its file, one row each."""

from __future__ import annotations

from dataclasses import dataclass

from pathplugins.published.encoders.self_supervised import GIGAPATH as GIGAPATH_TILES
from pathplugins.published.licence import Licence


@dataclass(frozen=True, kw_only=True)
class SlideEncoder:
    """One published slide encoder, described by the patches its authors gave it."""

    name: str
    patch_encoder: str
    """Name of the patch encoder whose features it was trained on."""
    feature_dim: int
    """Width of those features."""
    frame_mpp: float
    """Microns per pixel of the positions it is given, which are (x, y) of top-left corners."""
    tile_px: int
    """Side of a grid cell, pixels at ``frame_mpp``."""
    grid: int
    """Cells per side of its grid; the weights know no position beyond."""
    source: str
    """Repository, commit and files that the numbers were read in."""
    architecture: str
    """Name of the architecture in the published code."""
    hub_id: str
    file: str
    """File of weights in that repository."""
    width: int
    layers: int
    heads: int
    parameters: int
    segment_lengths: tuple[int, ...]
    """Tokens a segment, one entry a branch of the dilated attention."""
    dilated_ratios: tuple[int, ...]
    licence: Licence
    gated: bool
    note: str


GIGAPATH = SlideEncoder(
    name="gigapath",
    patch_encoder=GIGAPATH_TILES.name,
    feature_dim=1536,
    frame_mpp=0.5,
    tile_px=256,
    grid=1000,
    source="https://github.com/prov-gigapath/prov-gigapath at 09d8e87 (README, gigapath/slide_encoder.py)",
    architecture="gigapath_slide_enc12l768d",
    hub_id="prov-gigapath/prov-gigapath",
    file="slide_encoder.pth",
    width=768,
    layers=12,
    heads=16,
    parameters=86_330_880,
    segment_lengths=(1024, 5792, 32768, 185363, 1048576),
    dilated_ratios=(1, 2, 4, 8, 16),
    licence=GIGAPATH_TILES.licence,
    gated=True,
    note="its public demo says that the slide token was not trained in pre-training",
)

GIGAPATH_POOLED = "gigapath-slide-pooled"
"""What bags of its pooled tokens name in place of a patch encoder, with the number of rows behind a dash."""
WSI_LLAVA_TOKENS = f"{GIGAPATH_POOLED}-576"
"""What the official WSI-LLaVA (ICCV 2025) reads."""
