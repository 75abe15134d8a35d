"""Patching: one slide to one coordinate file and one picture of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .coords import PatchSet, read_coords, write_coords
from .grid import Tiling, TilingSpec, patch_grid, plan, tissue_fraction
from .outputs import Outcome, check_same_settings
from .overlay import draw_overlay
from .resolution import Resolution, resolve
from .slides import Slide, SlideError
from .tissue import TissueSpec, tissue_mask


def patch_slide(path: Path, out: Path, spec: TilingSpec, *, overwrite: bool = False) -> Outcome:
    """Write ``out/coords/<slide_id>.h5`` and ``out/overlays/<slide_id>.png``, unless they are there already.

    Raises:
        PathPluginsError: no resolution, too blurred, no tissue, or an output of other settings.
    """
    coords_path = out / "coords" / f"{path.stem}.h5"
    overlay_path = out / "overlays" / f"{path.stem}.png"
    if coords_path.exists() and not overwrite:
        there = read_coords(coords_path)
        check_same_settings(coords_path, found=there.settings, wanted=spec.settings())
        if overlay_path.exists():
            return Outcome(slide_id=path.stem, status="skipped", patches=len(there.coords_xy))
    with Slide(path) as slide:
        resolution = resolve(slide, fallback_mpp=spec.slide_mpp)
        tiling = plan(spec, level0_mpp=resolution.mpp, downsamples=slide.downsamples, slide=str(path))
        mask = find_tissue(slide, resolution.mpp, spec.tissue)
        patches = _select(slide, resolution, tiling, spec, mask)
        draw_overlay(overlay_path, slide, mask, patches)
    write_coords(coords_path, patches)  # last: its presence says that the slide is done
    notes = (resolution.note,) if resolution.note else ()
    return Outcome(slide_id=path.stem, status="done", patches=len(patches.coords_xy), notes=notes)


def find_tissue(slide: Slide, level0_mpp: float, spec: TissueSpec) -> np.ndarray:
    """Bool ``[H, W]`` over the whole slide, at ``spec.mpp`` or, where the slide is coarser, at its own resolution."""
    scale = min(1.0, level0_mpp / spec.mpp)
    w, h = (max(1, round(side * scale)) for side in slide.size_px0)
    return tissue_mask(slide.thumbnail((w, h)), level0_mpp / scale, spec)


def _select(slide: Slide, resolution: Resolution, tiling: Tiling, spec: TilingSpec, mask: np.ndarray) -> PatchSet:
    """The patches of the grid that are tissue."""
    coords = patch_grid(slide.size_px0, tiling)
    w, h = slide.size_px0
    if not len(coords):
        raise SlideError(
            f"{slide.path}: {w} x {h} pixels are less than one patch of {tiling.patch_size_px0} (level-0 pixels); "
            "pass a smaller --patch-size"
        )
    kept = tissue_fraction(mask, slide.size_px0, coords, tiling.patch_size_px0) >= spec.min_tissue
    if not kept.any():
        raise SlideError(
            f"{slide.path}: no tissue found (no patch is {spec.min_tissue:.0%} tissue); "
            "look at the slide, then lower --min-tissue or leave the slide out"
        )
    return PatchSet(
        coords_xy=coords[kept],
        name=slide.slide_id,
        slide=str(slide.path),
        patch_size=spec.patch_size,
        patch_size_level0=tiling.patch_size_px0,
        overlap=spec.overlap,
        mpp=tiling.mpp,
        level0_mpp=resolution.mpp,
        mpp_source=resolution.source,
        level0_magnification=resolution.magnification,
        target_magnification=resolution.magnification * spec.patch_size / tiling.patch_size_px0,
        level0_width=w,
        level0_height=h,
        fingerprint=spec.fingerprint(),
        settings=spec.settings(),
    )
