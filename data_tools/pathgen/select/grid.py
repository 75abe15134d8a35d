"""Candidate patches of a slide: a grid over each tissue region, found at a 32nd of the slide.

As published (github.com/PathFoundation/PathGen-1.6M, Patch_selection): positions are whole thumbnail pixels times 32,
the grid starts at the corner of the bounding box of each region, which may hang together by corners alone, and a patch
stays when more than half of it is tissue. Unlike there, no tissue is cut twice where bounding boxes overlap, and no
patch reaches beyond the slide.

Positions are (x, y); ``_px0`` is level-0 pixels, arrays ``[H, W]``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from pathplugins.core.errors import PathPluginsError

from ...engine.areas import Areas, no_tissue_advice
from ...slides.bounds import bounds
from ...slides.resolution import ContradictionError, Resolution, resolve
from ...slides.slide import Slide, SlideError
from ...tiling.geometry import fit_tiling
from ...tiling.spec import TilingSpec
from ...tissue.detect import Detection, TissueSpec
from ...tissue.morphology import find_runs
from ...tissue.on_slide import tissue_on_slide
from ...tissue.own_mask import OwnMask, load_mask

SCALE = 32  #: level-0 pixels per thumbnail pixel
ASSUMED_MPP = 0.25  #: used for tissue detection on slides without a resolution; most TCGA slides are 40x


@dataclass(frozen=True, kw_only=True)
class GridSpec:
    """How slides are cut into candidates."""

    patch_size: int = 672
    """Side of a patch in pixels."""
    mpp: float | None = None
    """Microns per pixel of the patches; None takes level-0 pixels of any resolution, as published."""
    overlap: int = 0
    """Pixels shared by neighbours; below ``patch_size``."""
    min_tissue: float = 0.5
    """A patch is kept if more than this share of it is tissue."""
    slide_mpp: float | None = None
    """Level-0 microns per pixel of slides that record none."""
    tissue: TissueSpec = field(default_factory=TissueSpec)

    def __post_init__(self) -> None:
        self.tiling()  # checks all fields but the next two
        if not 0 <= self.min_tissue < 1:
            raise PathPluginsError(
                f"--min-tissue must be a share from 0 to below 1 (e.g. 0.5), got {self.min_tissue:g}"
            )
        if self.patch_size < SCALE:
            raise PathPluginsError(f"--patch-size must be at least {SCALE} pixels here, got {self.patch_size}")

    def tiling(self) -> TilingSpec:
        """Return the same settings as the ``TilingSpec`` of ``pathdata patch``."""
        mpp = TilingSpec.mpp if self.mpp is None else self.mpp
        return TilingSpec(patch_size=self.patch_size, mpp=mpp, overlap=self.overlap, slide_mpp=self.slide_mpp)


@dataclass(frozen=True, kw_only=True)
class Grid:
    """The candidate patches of one slide."""

    coords_xy: np.ndarray
    """int64 ``[N, 2]``, top-left corners, level-0 pixels; row by row."""
    patch_size: int
    patch_size_level0: int
    level0_mpp: float | None
    """None if the slide records none and none was given."""
    mpp: float | None
    """Microns per pixel of the patches; None if unknown."""
    mpp_source: str
    """Where ``level0_mpp`` was found; empty without one."""
    notes: tuple[str, ...] = ()
    areas: Areas | None = None
    """Shares of the slide that are tissue or were left out."""


def find_grid(slide: Slide, spec: GridSpec, own: OwnMask | None = None) -> Grid:
    """Find the candidate patches of a slide.

    Args:
        slide: the slide.
        spec: how to cut it.
        own: a mask of the user's instead of tissue detection.

    Raises:
        PathPluginsError: no tissue, or ``spec.mpp`` is set and the slide has no resolution or a coarser one.
    """
    resolution = _resolution(slide, spec)
    side_px0, stride_px0 = spec.patch_size, spec.patch_size - spec.overlap
    mpp = None if resolution is None else float(resolution.mpp)
    if spec.mpp is not None and resolution is not None:
        tiling = fit_tiling(
            spec.tiling(), level0_mpp=resolution.mpp, downsamples=slide.downsamples, slide=str(slide.path)
        )
        side_px0, stride_px0, mpp = tiling.patch_size_px0, tiling.stride_px0, float(tiling.mpp)
    found = _mask(slide, spec, own, resolution)
    areas = found.areas()
    corners = region_grid(found.mask, _thumbnail_px(side_px0), _thumbnail_px(stride_px0), spec.min_tissue)  # [M, 2]
    coords_xy = corners * SCALE
    coords_xy = coords_xy[(coords_xy + side_px0 <= slide.size_px0).all(axis=1)]
    if not len(coords_xy):
        raise SlideError(
            f"{slide.path}: no patch of {side_px0} level-0 pixels is more than {spec.min_tissue:.0%} tissue "
            f"({areas.in_words()}); {no_tissue_advice(areas, None if own is None else own.path)}"
        )
    nowhere = (
        f"records no microns per pixel: tissue was detected as at {ASSUMED_MPP:g} um/px; "
        "pass --slide-mpp if that is wrong",
    )
    noted = () if resolution is None or resolution.note is None else (resolution.note,)
    return Grid(
        coords_xy=coords_xy,
        patch_size=spec.patch_size,
        patch_size_level0=side_px0,
        level0_mpp=None if resolution is None else float(resolution.mpp),
        mpp=mpp,
        mpp_source="" if resolution is None else resolution.source,
        notes=(*(nowhere if resolution is None else noted), *found.notes, *filter(None, (slide.level_note,))),
        areas=areas,
    )


def region_grid(mask: np.ndarray, side: int, step: int, min_share: float) -> np.ndarray:
    """Lay a grid over each region of a mask ``[H, W]``; return corners int64 ``[N, 2]`` (x, y), row by row.

    All sizes are pixels of the mask. Regions are taken from the largest on; a square that lies by more than half on
    squares of earlier regions is left out. Tissue of all regions counts; pixels beyond the border are no tissue.
    """
    tissue = _sums(np.pad(mask, ((0, side), (0, side))))
    taken = np.zeros((len(mask) + side, mask.shape[1] + side), bool)
    found = []
    for left, top, right, bottom in region_boxes(mask):
        ys, xs = np.meshgrid(np.arange(top, bottom, step), np.arange(left, right, step), indexing="ij")
        corners = np.stack([xs.ravel(), ys.ravel()], axis=1)  # [n, 2]
        corners = corners[_inside(tissue, corners, side) > min_share * side**2]
        before = _sums(taken[top : bottom + side, left : right + side])
        corners = corners[_inside(before, corners - (left, top), side) <= side**2 / 2]
        for x, y in corners.tolist():
            taken[y : y + side, x : x + side] = True
        found.append(corners)
    corners = np.concatenate(found) if found else np.empty((0, 2), np.int64)
    return corners[np.lexsort((corners[:, 0], corners[:, 1]))]


def region_boxes(mask: np.ndarray) -> list[tuple[int, int, int, int]]:
    """Return (left, top, right, bottom) of the 8-connected regions, ends excluded; the largest region first."""
    runs = find_runs(mask, corners=True)
    if not len(runs.rows):
        return []
    _, piece = np.unique(runs.pieces, return_inverse=True)  # [R]
    areas = np.bincount(piece, weights=runs.ends - runs.starts)  # [P]
    low, high = np.full((len(areas), 2), np.iinfo(np.int64).max), np.zeros((len(areas), 2), np.int64)  # [P, 2], x, y
    np.minimum.at(low, piece, np.stack([runs.starts, runs.rows], axis=1))
    np.maximum.at(high, piece, np.stack([runs.ends, runs.rows + 1], axis=1))
    boxes = np.concatenate([low, high], axis=1)[np.lexsort((low[:, 0], low[:, 1], -areas))]
    return [tuple(box) for box in boxes.tolist()]


def _sums(mask: np.ndarray) -> np.ndarray:
    """Return the integral image ``[H + 1, W + 1]``."""
    return np.pad(mask.cumsum(0, dtype=np.int32).cumsum(1, dtype=np.int32), ((1, 0), (1, 0)))


def _inside(sums: np.ndarray, corners: np.ndarray, side: int) -> np.ndarray:
    """Count the pixels of a mask in each square, int ``[N]``."""
    x, y = corners[:, 0], corners[:, 1]
    return sums[y + side, x + side] - sums[y, x + side] - sums[y + side, x] + sums[y, x]


def _thumbnail_px(size_px0: int) -> int:
    return max(1, math.floor(size_px0 / SCALE + 0.5))


def _resolution(slide: Slide, spec: GridSpec) -> Resolution | None:
    """Return the resolution; None if the slide has none and ``spec`` needs none."""
    try:
        return resolve(slide, fallback_mpp=spec.slide_mpp)
    except ContradictionError:  # tissue is found by lengths in microns, so one of them has to be chosen
        raise
    except SlideError:
        if spec.mpp is not None:
            raise
        return None


def _mask(slide: Slide, spec: GridSpec, own: OwnMask | None, resolution: Resolution | None) -> Detection:
    """Return the tissue at a 32nd of the slide."""
    w, h = (max(1, side // SCALE) for side in slide.size_px0)
    if own is None:
        level0_mpp = ASSUMED_MPP if resolution is None else resolution.mpp
        return tissue_on_slide(slide, level0_mpp, spec.tissue, (h, w))
    mask, notes = load_mask(own, slide.size_px0, (h, w), bounds(slide.properties))
    if mask.shape != (h, w):
        mask = np.asarray(Image.fromarray(mask).resize((w, h), Image.Resampling.NEAREST))
    return Detection(mask=mask, notes=notes)
