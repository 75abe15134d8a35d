"""Overlay: a picture of one slide that shows what was taken and what was left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from pathplugins.core.files import replacing

from ..slides.slide import Slide
from ..tiling.coord_files import PatchSet
from .drawing import INK, LONGEST_SIDE_PX, MARGIN_PX, boxes_px, draw_scale_bar, fade_outside, font

OUTLINE = (0, 140, 70)  #: green: stands off the pinks and purples of H&E
GRID = (25, 60, 190)
CAPTION_PX = 56


def draw_overlay(path: Path, slide: Slide, mask: np.ndarray, patches: PatchSet) -> None:
    """Write a PNG: the slide, tissue outlined in green, patches in blue, everything else faded, scale bar below."""
    w0, h0 = slide.size_px0
    scale = min(1.0, LONGEST_SIDE_PX / max(w0, h0))  # overlay pixels per level-0 pixel
    size = max(1, round(w0 * scale)), max(1, round(h0 * scale))
    boxes = boxes_px(patches.coords_xy, patches.patch_size_level0, scale)
    picture = fade_outside(Image.fromarray(slide.thumbnail(size)), boxes)
    picture.paste(OUTLINE, mask=_outline(mask, size))
    draw = ImageDraw.Draw(picture)
    for box in boxes.tolist():
        draw.rectangle(box, outline=GRID)  # 1 pixel; with the neighbour's beside it, 2
    canvas = _with_caption(picture, patches, scale)
    with replacing(path) as temporary:
        canvas.save(temporary, format="PNG")


def _outline(mask: np.ndarray, size: tuple[int, int]) -> Image.Image:
    """The border of the tissue mask as an L image of the overlay's size, 3 pixels wide and smoothed."""
    large = Image.fromarray(mask.astype(np.uint8) * 255).resize(size, Image.Resampling.BICUBIC)
    inside = large.point(lambda v: 255 if v > 127 else 0)
    grown, shrunk = inside.filter(ImageFilter.MaxFilter(3)), inside.filter(ImageFilter.MinFilter(3))
    return Image.fromarray(np.asarray(grown) ^ np.asarray(shrunk))


def _with_caption(picture: Image.Image, patches: PatchSet, scale: float) -> Image.Image:
    """``picture`` above a strip with a scale bar and what the patches are."""
    canvas = Image.new("RGB", (picture.width, picture.height + CAPTION_PX), "white")
    canvas.paste(picture)
    draw = ImageDraw.Draw(canvas)
    middle = picture.height + CAPTION_PX // 2
    px_per_um = scale / patches.level0_mpp
    x = draw_scale_bar(draw, MARGIN_PX, middle, px_per_um=px_per_um, longest_px=picture.width / 5)
    text = (
        f"{patches.name}   {len(patches.coords_xy)} patches of {patches.patch_size} px "
        f"at {patches.mpp:.3g} um/px ({patches.patch_size_level0} px at level 0)"
    )
    while len(text) > 1 and x + draw.textlength(text, font=font()) > picture.width - MARGIN_PX:
        text = text[:-1]
    draw.text((x, middle), text, fill=INK, font=font(), anchor="lm")
    return canvas
