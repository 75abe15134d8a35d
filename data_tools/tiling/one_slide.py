"""Cut one slide: write its coordinate file, overlay, tissue as GeoJSON and, if wanted, pictures of its patches."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pathplugins.core.content import content_print
from pathplugins.core.counted import counted
from pathplugins.core.files import replacing
from pathplugins.core.suffixes import slide_name

from ..engine.areas import no_tissue_advice
from ..engine.outcome import Outcome, check_same_settings
from ..engine.same_slide import check_same_slide
from ..pictures.overlay import draw_overlay
from ..slides.bounds import bounds, origin_xy
from ..slides.resolution import GIVEN_FOR_ALL, Resolution, resolve
from ..slides.slide import Slide, SlideError
from ..tissue.detect import Detection
from ..tissue.geojson import write_tissue
from ..tissue.on_slide import tissue_on_slide
from ..tissue.own_mask import load_mask
from .coord_files import PatchSet, read_coords, write_coords
from .geometry import fit_tiling, patch_grid, tissue_fraction
from .own_coords import covered, load_own_coords
from .patch_pictures import leftover_note, patch_pictures_done, write_patch_pictures
from .spec import TilingSpec

Chosen = tuple[PatchSet, Detection]
"""Patches, and what is drawn as tissue and as left out."""


def patch_slide(path: Path, out: Path, spec: TilingSpec, *, overwrite: bool = False) -> Outcome:
    """Write ``<slide_id>`` in ``out/coords``, ``out/overlays`` and ``out/geojson``, unless all three exist already.

    With ``spec.save_patches`` also in ``out/patches``; the three that exist are then left as they are.

    Raises:
        PathPluginsError: no resolution, too blurred, no tissue, or files that were made with other settings.
    """
    slide_id = slide_name(path)
    coords_path = out / "coords" / f"{slide_id}.h5"
    overlay_path, geojson_path = out / "overlays" / f"{slide_id}.png", out / "geojson" / f"{slide_id}.geojson"
    patches: PatchSet | None = None
    notes: tuple[str, ...] = ()
    if coords_path.exists() and not overwrite:
        patches = read_coords(coords_path)
        check_same_slide(coords_path, path, content=patches.slide_content, was=patches.slide)
        spec = _as_obeyed(spec, patches)
        check_same_settings(coords_path, found=patches.settings, wanted=spec.settings())
        patches = _moved(coords_path, patches, path)
        if not (overlay_path.exists() and geojson_path.exists()):
            patches = None
        elif spec.save_patches is None or patch_pictures_done(out, patches, spec.save_patches):
            return Outcome(slide_id=slide_id, status="skipped", patches=len(patches.coords_xy), areas=patches.areas)
    with Slide(path) as slide:
        if patches is None:
            resolution = resolve(slide, fallback_mpp=spec.slide_mpp, override_mpp=spec.override_mpp)
            notes = (*((resolution.note,) if resolution.note else ()), *slide.notes)
            choose = _keep_tissue if spec.coords is None else _take_own
            patches, found = choose(slide, resolution, spec)
            notes += found.notes
            _draw(overlay_path, slide, found, patches)
            with replacing(geojson_path) as temporary:
                write_tissue(temporary, found.mask, slide.size_px0, origin_xy(slide.properties))
            write_coords(coords_path, patches)  # last: its presence marks the other files as written
        if spec.save_patches is not None:
            write_patch_pictures(out, slide, patches, spec.save_patches)
        elif note := leftover_note(out, patches):
            notes += (note,)
    count = len(patches.coords_xy)
    return Outcome(slide_id=slide_id, status="done", patches=count, notes=notes, areas=patches.areas)


def _as_obeyed(spec: TilingSpec, patches: PatchSet) -> TilingSpec:
    """Return the settings, with the ``slide_mpp`` of the patches where the slide's own resolution made it needless."""
    if patches.mpp_source == GIVEN_FOR_ALL:
        return spec
    return replace(spec, slide_mpp=json.loads(patches.settings).get("slide_mpp"))


def _moved(coords_path: Path, patches: PatchSet, path: Path) -> PatchSet:
    """Record the new place of a slide that is no longer where it was, so that later commands find it."""
    if Path(patches.slide).exists() or patches.slide == str(path):
        return patches
    patches = replace(patches, slide=str(path))
    write_coords(coords_path, patches)
    return patches


def _draw(path: Path, slide: Slide, found: Detection, patches: PatchSet) -> None:
    """Write the overlay, with the number and size of the patches below it."""
    left_out = found.left_out()
    draw_overlay(
        path,
        slide,
        found.mask,
        left_out=left_out,
        coords_xy=patches.coords_xy,
        patch_size_level0=patches.patch_size_level0,
        level0_mpp=patches.level0_mpp,
        caption=f"{patches.name}   {counted(len(patches.coords_xy), 'patch')} of {patches.patch_size} px "
        f"at {patches.mpp:.3g} um/px ({patches.patch_size_level0} px at level 0)"
        + "   red: ink and black, left out"
        * bool(left_out.any()),
    )


def find_tissue(slide: Slide, level0_mpp: float, spec: TilingSpec) -> Detection:
    """Return the tissue over the whole slide, from the mask given for it or from its colours.

    Its resolution is ``spec.tissue.mpp``, or that of the slide where it is coarser.
    """
    shape = _mask_shape(slide, level0_mpp, spec)
    if spec.mask is not None:
        mask, notes = load_mask(spec.mask, slide.size_px0, shape, bounds(slide.properties))
        return Detection(mask=mask, notes=notes)
    return tissue_on_slide(slide, level0_mpp, spec.tissue, shape)


def _mask_shape(slide: Slide, level0_mpp: float, spec: TilingSpec) -> tuple[int, int]:
    """Return (H, W) of a mask over the slide at ``spec.tissue.mpp``, or at the slide's own resolution if coarser."""
    scale = min(1.0, level0_mpp / spec.tissue.mpp)
    w, h = (max(1, round(side * scale)) for side in slide.size_px0)
    return h, w


def _take_own(slide: Slide, resolution: Resolution, spec: TilingSpec) -> Chosen:
    """Return the patches of the file that was given for the slide, and what they cover."""
    given = load_own_coords(spec.coords, slide.size_px0)
    mpp = given.patch_size_px0 * resolution.mpp / given.patch_size
    patches = _patch_set(
        slide,
        resolution,
        spec,
        given.coords_xy,
        patch_size=given.patch_size,
        patch_size_level0=given.patch_size_px0,
        overlap=given.overlap,
        mpp=mpp,
    )
    shape = _mask_shape(slide, resolution.mpp, spec)
    mask = covered(given.coords_xy, given.patch_size_px0, slide.size_px0, shape)
    return patches, Detection(mask=mask, notes=given.notes + given.contradiction(mpp))


def _keep_tissue(slide: Slide, resolution: Resolution, spec: TilingSpec) -> Chosen:
    """Return the patches of the grid that are tissue, and where tissue is.

    Raises:
        SlideError: the slide is smaller than a patch, or no patch is tissue.
    """
    tiling = fit_tiling(spec, level0_mpp=resolution.mpp, downsamples=slide.downsamples, slide=str(slide.path))
    found = find_tissue(slide, resolution.mpp, spec)
    coords = patch_grid(slide.size_px0, tiling)
    w, h = slide.size_px0
    if not len(coords):
        raise SlideError(
            f"{slide.path}: {w} x {h} pixels are less than one patch of {tiling.patch_size_px0} (level-0 pixels); "
            "pass a smaller --patch-size"
        )
    areas = found.areas()
    kept = tissue_fraction(found.mask, slide.size_px0, coords, tiling.patch_size_px0) >= spec.min_tissue
    if not kept.any():
        raise SlideError(
            f"{slide.path}: no tissue found (no patch is {spec.min_tissue:.0%} tissue; {areas.in_words()}); "
            + no_tissue_advice(areas, None if spec.mask is None else spec.mask.path)
        )
    patches = _patch_set(
        slide,
        resolution,
        spec,
        coords[kept],
        patch_size=spec.patch_size,
        patch_size_level0=tiling.patch_size_px0,
        overlap=spec.overlap,
        mpp=tiling.mpp,
        areas=areas.to_json(),
        mask=None if spec.mask is None else str(spec.mask.path),
    )
    return patches, found


def _patch_set(
    slide: Slide,
    resolution: Resolution,
    spec: TilingSpec,
    coords_xy: np.ndarray,
    *,
    patch_size: int,
    patch_size_level0: int,
    **others: Any,
) -> PatchSet:
    """Return patches with all that is recorded of them and of their slide."""
    w, h = slide.size_px0
    return PatchSet(
        coords_xy=coords_xy,
        name=slide.slide_id,
        slide=str(slide.path),
        slide_content=content_print(slide.path),
        patch_size=patch_size,
        patch_size_level0=patch_size_level0,
        level0_mpp=resolution.mpp,
        mpp_source=resolution.source,
        level0_magnification=resolution.magnification,
        target_magnification=resolution.magnification * patch_size / patch_size_level0,
        level0_width=w,
        level0_height=h,
        fingerprint=spec.fingerprint(),
        settings=spec.settings(),
        bounds=bounds(slide.properties),
        **_level_of(slide, patch_size, patch_size_level0),
        **others,
    )


def _level_of(slide: Slide, patch_size: int, patch_size_px0: int) -> dict[str, Any]:
    """Return the level whose pixels the patches are, under CLAM's names; empty if they are resized."""
    for level in slide.levels:
        # a rounded downsample (4.0003) is still the same pixels; padded levels would be misplaced by CLAM
        if level.as_recorded and abs(patch_size_px0 / level.downsample - patch_size) < 0.5:
            (w, h), (w0, h0) = level.size_px, slide.size_px0
            return {"patch_level": level.number, "downsample": (w0 / w, h0 / h), "level_dim": (w, h)}
    return {}
