"""Presets: the patch sizes of published systems."""

from __future__ import annotations

from typing import NamedTuple

from pathplugins.published.slide_encoders import GIGAPATH


class Preset(NamedTuple):
    """One system; sizes in pixels at ``mpp`` (microns per pixel)."""

    patch_size: int
    mpp: float
    overlap: int
    source: str
    note: str


PRESETS = {
    "gigapath": Preset(
        GIGAPATH.tile_px,
        GIGAPATH.frame_mpp,
        0,
        "github.com/prov-gigapath/prov-gigapath",
        "its slide encoder counts in 256 px",
    ),
    "uni": Preset(256, 0.5, 0, "github.com/mahmoodlab/TRIDENT", "UNI and UNI2-h; resized to 224 by the encoder"),
    "conch": Preset(512, 0.5, 0, "github.com/mahmoodlab/TRIDENT", "CONCH, CONCH v1.5, TITAN; resized to 448"),
    "ptcga200": Preset(512, 0.39, 0, "PatchTCGA", "200 um"),
    "pathgen": Preset(672, 0.25, 0, "github.com/PathFoundation/PathGen-1.6M", "level 0 of a 40x slide"),
    "slidechat": Preset(224, 0.5, 0, "github.com/uni-medical/SlideChat", "20x"),
    "clam-20x": Preset(256, 0.5, 0, "github.com/mahmoodlab/CLAM", "its default size at 20x"),
    "clam-40x": Preset(256, 0.25, 0, "github.com/mahmoodlab/CLAM", "its default size at level 0 of a 40x slide"),
}


def described() -> str:
    """Return all presets in words, a line each, for the help of a command."""
    rows = []
    for name, p in PRESETS.items():
        overlap = f", overlap {p.overlap}" if p.overlap else ""
        rows.append(f"  {name:<10} {p.patch_size} px at {p.mpp:g} um/px{overlap}: {p.note} ({p.source})")
    return "\n".join(["presets:", *rows])
