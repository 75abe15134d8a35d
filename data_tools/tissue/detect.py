"""Detect tissue: find the stained areas of a thumbnail, and the ink and the black that are left out."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from PIL import Image

from pathplugins.core.errors import PathPluginsError

from ..engine.areas import Areas
from .morphology import dilate, drop_small, erode
from .own_model import OwnModel
from .pen import Marks, find_marks, hsv_of
from .stains import CELL_GAP_UM, CELL_UM, STAINS, Stain, StainRow
from .texture import Blocks
from .threshold import FEW_COVER, MIN_COVER, MIN_GREY, beside_colour, coloured_pixels, grey_blocks

LITTLE_COLOUR = "little colour: grey tissue counts, too (as with --stain reticulin)"
BAND_ROWS = 64  #: rows smoothed at once


@dataclass(frozen=True, kw_only=True)
class TissueSpec:
    """How tissue is told from glass; lengths in microns, so that slides of any resolution are treated alike."""

    mpp: float = 4.0
    """Resolution of the mask, microns per pixel."""
    min_saturation: int = 15
    """Lower bound of the threshold (of 255): an empty slide has only the noise of its glass to threshold."""
    max_saturation: int = 50
    """Upper bound of the threshold: where nearly all is tissue, Otsu would split the tissue in two."""
    min_value: int = 40
    """Darker than this (of 255) is the edge of the glass, not tissue."""
    stain: Stain = "auto"
    """The stain: which colours are ink (``stains.STAINS``)."""
    remove_pen: bool = True
    """Leave out areas with the colour of ink."""
    close_um: float = 32.0
    """Gaps narrower than this are closed."""
    open_um: float = 24.0
    """Bridges and specks narrower than this are removed."""
    min_area_um2: float = 64.0**2
    """Smaller pieces are dropped: a quarter of the usual patch of 256 pixels at 0.5 um/px."""
    max_hole_um2: float = 128.0**2
    """Smaller holes are filled; larger ones are lumens and tears."""
    model: OwnModel | None = None
    """A model that finds tissue instead; of the above, only the sizes of pieces and holes count then."""

    def __post_init__(self) -> None:
        if self.stain not in STAINS:
            raise PathPluginsError(f"stain is one of {', '.join(STAINS)}, got {self.stain!r}")
        if not 0 <= self.min_saturation <= self.max_saturation <= 255:
            raise PathPluginsError(
                "the bounds of the saturation are 0 <= min_saturation <= max_saturation <= 255, "
                f"got {self.min_saturation} and {self.max_saturation}"
            )
        if not 0 <= self.min_value <= 255:
            raise PathPluginsError(f"min_value is in [0, 255], got {self.min_value}")
        if not (math.isfinite(self.mpp) and self.mpp > 0):
            raise PathPluginsError(f"the resolution of the tissue mask is above 0 um/px, got {self.mpp:g}")
        for name in ("close_um", "open_um", "min_area_um2", "max_hole_um2"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise PathPluginsError(f"{name} is a size, 0 or more, got {value:g}")

    def settings(self) -> dict[str, Any]:
        """Return all settings as plain values; a model counts by its content, not its path."""
        model = self.model and self.model.sha256[:12]
        return {f.name: getattr(self, f.name) for f in fields(self)} | {"model": model}


@dataclass(frozen=True, kw_only=True)
class Detection:
    """Where tissue is on a slide, and what was left out; every mask is bool ``[H, W]`` over the whole slide."""

    mask: np.ndarray
    ink: np.ndarray | None = None
    """Coloured ink; None where nobody looked for it."""
    black: np.ndarray | None = None
    """Black ink, and what was not scanned."""
    notes: tuple[str, ...] = ()
    """What was decided for this slide alone."""
    artefacts: dict[str, float] = field(default_factory=dict)
    """Share of the slide that a model took for each artefact."""

    def left_out(self) -> np.ndarray:
        """Return what was taken for ink or black, bool ``[H, W]``."""
        masks = [mask for mask in (self.ink, self.black) if mask is not None]
        return np.any([np.zeros_like(self.mask), *masks], axis=0)

    def areas(self) -> Areas:
        """Return the shares of tissue and of what was left out."""
        masks = {"ink": self.ink, "black": self.black}
        shares = {name: float(mask.mean()) for name, mask in masks.items() if mask is not None}
        return Areas(tissue=float(self.mask.mean()), left_out={**shares, **self.artefacts})


def tissue_mask(rgb: np.ndarray, mpp: float, spec: TissueSpec) -> np.ndarray:
    """Return bool ``[H, W]``, true on tissue, for a uint8 ``[H, W, 3]`` thumbnail at ``mpp`` microns per pixel."""
    return detect_tissue(rgb, mpp, spec).mask


def detect_tissue(rgb: np.ndarray, mpp: float, spec: TissueSpec) -> Detection:
    """Find tissue, ink and black on a uint8 ``[H, W, 3]`` thumbnail at ``mpp`` microns per pixel."""
    row = STAINS[spec.stain]
    smooth = Image.fromarray(median3(rgb))
    hsv, grey = hsv_of(smooth), np.asarray(smooth.convert("L"))
    blocks = Blocks(grey, mpp)
    nothing = np.zeros(grey.shape, bool)
    marks = (
        find_marks(hsv, grey, mpp, blocks=blocks, own=row.own) if spec.remove_pen else Marks(ink=nothing, black=nothing)
    )
    left_out = marks.ink | marks.black
    usable = (hsv[2] >= spec.min_value) & ~left_out
    if not usable.any():
        return Detection(mask=usable, ink=marks.ink, black=marks.black)
    notes = tuple(_kept(name) for name in marks.kept if row.own is None)
    cover = FEW_COVER if row.cells else MIN_COVER
    bounds = (spec.min_saturation, spec.max_saturation)
    mask = coloured_pixels(hsv[1], usable, blocks, mpp, bounds, cover)
    grey_tissue, how = _grey_tissue(grey, mask, usable, blocks, row)
    mask = _cleaned(mask | grey_tissue, left_out, mpp, spec, cells=row.cells)
    return Detection(mask=mask, ink=marks.ink, black=marks.black, notes=notes + how)


def _grey_tissue(
    grey: np.ndarray, coloured: np.ndarray, usable: np.ndarray, blocks: Blocks, row: StainRow
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return tissue without colour: all of it in a stain that is grey, else what hangs together with coloured tissue.

    Args:
        grey: Brightness, uint8 ``[H, W]``.
        coloured: Tissue that has colour, bool ``[H, W]``.
        usable: Neither ink nor black, bool ``[H, W]``.
        blocks: The brightness in blocks.
        row: The stain.
    """
    rest = usable & ~coloured
    share = blocks.cover(blocks.thinned(coloured))
    if row.grey is not False:
        found, glass = grey_blocks(grey, rest, blocks, FEW_COVER)
        dark = rest & (grey < glass)
        grey_share = np.where(found, blocks.cover(blocks.thinned(dark)), 0)
        if row.grey or grey_share.sum() > max(share.sum(), MIN_GREY * share.size):
            return dark & blocks.spread(found), () if row.grey else (LITTLE_COLOUR,)
    found, glass = grey_blocks(grey, rest, blocks, FEW_COVER if row.cells else MIN_COVER)
    found = beside_colour(found, share)
    return rest & (grey < glass) & blocks.spread(found), ()


def _kept(name: str) -> str:
    return f"{name} like a pen's has the texture of tissue and counts as stain; pass --stain he if it is ink"


def _cleaned(mask: np.ndarray, left_out: np.ndarray, mpp: float, spec: TissueSpec, *, cells: bool) -> np.ndarray:
    """Return a mask without gaps, bridges, specks and small holes, and without what was left out."""
    gap_um, bridge_um, min_um2 = spec.close_um, spec.open_um, spec.min_area_um2
    if cells:
        gap_um, bridge_um, min_um2 = max(gap_um, CELL_GAP_UM), min(bridge_um, CELL_UM), min(min_um2, CELL_UM**2)
        mask = dilate(erode(mask, bridge_um / mpp), bridge_um / mpp)  # specks would be joined
    mask = erode(dilate(mask, gap_um / mpp), gap_um / mpp)
    mask = dilate(erode(mask, bridge_um / mpp), bridge_um / mpp)
    mask = ~drop_small(~mask, spec.max_hole_um2 / mpp**2)
    return drop_small(mask & ~left_out, min_um2 / mpp**2)  # closing may have reached over ink


def median3(rgb: np.ndarray) -> np.ndarray:
    """Return the median of every pixel and its eight neighbours, which drops single specks; uint8 ``[H, W, C]`` both.

    Equal to Pillow's filter, which takes several seconds for the thumbnail of a large slide: columns of three are
    sorted once and shared by their neighbours, in bands of rows that stay in the cache.
    """
    smooth = np.empty_like(rgb)
    padded = np.pad(rgb, ((1, 1), (1, 1), (0, 0)), mode="edge")
    for top in range(0, len(rgb), BAND_ROWS):
        a, b, c = (padded[top + i : min(top + BAND_ROWS, len(rgb)) + i] for i in range(3))  # [rows, W + 2, C] each
        low, high = np.minimum(a, b), np.maximum(a, b)
        low, middle, high = np.minimum(low, c), np.maximum(low, np.minimum(high, c)), np.maximum(high, c)
        lowest = np.maximum(np.maximum(low[:, :-2], low[:, 1:-1]), low[:, 2:])
        highest = np.minimum(np.minimum(high[:, :-2], high[:, 1:-1]), high[:, 2:])
        centre = _middle(middle[:, :-2], middle[:, 1:-1], middle[:, 2:])
        smooth[top : top + BAND_ROWS] = _middle(lowest, centre, highest)
    return smooth


def _middle(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Return the elementwise median of three."""
    return np.maximum(np.minimum(a, b), np.minimum(np.maximum(a, b), c))
