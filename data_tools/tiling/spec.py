"""Tiling settings: how slides are cut into patches."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict, dataclass, field
from typing import Literal

from pathplugins.core.errors import PathPluginsError

from ..tissue.detect import TissueSpec
from ..tissue.own_mask import OwnMask
from .own_coords import OwnCoords

PatchFormat = Literal["jpeg", "png", "webdataset"]


@dataclass(frozen=True, kw_only=True)
class TilingSpec:
    """How slides are cut into patches."""

    patch_size: int = 256
    """Side of a patch in pixels at ``mpp``."""
    mpp: float = 0.5
    """Resolution of the patches, microns per pixel."""
    overlap: int = 0
    """Pixels shared by neighbours at ``mpp``; must be below ``patch_size``."""
    min_tissue: float = 0.25
    """Smallest fraction of a patch that must be tissue; 0 keeps the background too."""
    slide_mpp: float | None = None
    """Level-0 resolution of slides that record none."""
    override_mpp: float | None = None
    """Level-0 resolution of this slide, whatever it records."""
    snap: float = 0.02
    """A level this close to ``mpp`` (relative) is taken as it is, unresampled: 20x is 0.499 here and 0.504 there."""
    tissue: TissueSpec = field(default_factory=TissueSpec)
    mask: OwnMask | None = None
    """A mask that says where tissue is on this slide, instead of detection by ``tissue``."""
    coords: OwnCoords | None = None
    """A file that says which patches are taken, and how large they are, whatever the other settings are."""
    save_patches: PatchFormat | None = None
    """Write the patches as pictures too."""

    def __post_init__(self) -> None:
        if self.patch_size < 1:
            raise PathPluginsError(f"--patch-size must be at least 1 pixel, got {self.patch_size}")
        if not 0 <= self.overlap < self.patch_size:
            raise PathPluginsError(f"--overlap must be in [0, --patch-size {self.patch_size}), got {self.overlap}")
        if not 0 <= self.min_tissue <= 1:
            raise PathPluginsError(f"--min-tissue is a fraction in [0, 1], got {self.min_tissue:g}")
        recorded = (("--slide-mpp", self.slide_mpp), ("the mpp of a slide", self.override_mpp))
        for option, mpp in (("--mpp", self.mpp), *recorded):
            if mpp is not None and not (math.isfinite(mpp) and mpp > 0):
                raise PathPluginsError(f"{option} is microns per pixel, above 0 (e.g. 0.5), got {mpp:g}")

    def settings(self) -> str:
        """Return all settings that decide the patches, as JSON that is the same for the same settings.

        The pictures of patches have settings of their own. A mask counts by its content, not its path.
        """
        flat = asdict(self)
        del flat["save_patches"]
        del flat["tissue"]
        del flat["coords"]
        flat |= {f"tissue.{key}": value for key, value in self.tissue.settings().items()}
        flat |= {"mask": None, "mask_class": None} if self.mask is None else self.mask.settings()
        flat |= {} if self.coords is None else self.coords.settings()
        return json.dumps(flat, sort_keys=True)

    def fingerprint(self) -> str:
        """Return a short stable id of the settings."""
        return hashlib.sha256(self.settings().encode()).hexdigest()[:12]
