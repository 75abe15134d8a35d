"""Bag contract: the features and positions that a vision tower expects in the bags it reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from pathplugins.published.slide_encoders import GIGAPATH


@dataclass(frozen=True, kw_only=True)
class BagContract:
    """The features and positions a tower takes; the defaults take any features in GigaPath's frame and grid."""

    feature_dim: int | None = None
    """D, width of the features; None takes any."""
    frame_mpp: float | None = GIGAPATH.frame_mpp
    """Microns per pixel of the positions the tower is given; None for a tower that asks for no positions: it is given
    them as the bag stores them, and -1 where a bag has none."""
    tile_px: int = GIGAPATH.tile_px
    """Side of a grid cell, pixels at ``frame_mpp``."""
    grid: int | None = GIGAPATH.grid
    """Cells per side of the tower's square grid; None for a tower without one, which takes any position."""
    expects_encoder: str | None = None
    """Name of the patch encoder the tower was trained on; None takes features of any one encoder."""
    slide_token: bool = True
    """The tower gives a token of the whole slide besides those of its patches."""

    @property
    def needs_positions(self) -> bool:
        """Whether a bag without positions cannot be used."""
        return self.frame_mpp is not None


def contract_in(settings: Mapping[str, Any]) -> BagContract:
    """Return the contract that ``preprocessor_config.json`` of a model directory records.

    Directories of earlier versions record the width alone. Their towers were all GigaPath's, so features as wide as
    its patch encoder's are expected to be its.
    """
    known = {item.name: settings[item.name] for item in fields(BagContract) if item.name in settings}
    if "expects_encoder" not in known and known.get("feature_dim") == GIGAPATH.feature_dim:
        known["expects_encoder"] = GIGAPATH.patch_encoder
    return BagContract(**known)
