"""Overlay: a picture of one slide that shows what was taken and what was left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from .coords import PatchSet
from .outputs import replacing
from .slides import Slide

LONGEST_SIDE_PX = 2048
OUTLINE = (0, 140, 70)  #: green: stands off the pinks and purples of H&E
GRID = (25, 60, 190)
INK = (30, 30, 30)
FADE = 0.6  #: how far what is left out goes towards white
CAPTION_PX = 56
BAR_LENGTHS_UM = (20, 50, 100, 200, 500, 1000, 2000, 5000, 10000)


def draw_overlay(path: Path, slide: Slide, mask: np.ndarray, patches: PatchSet) -> None:
    """Write a PNG: the slide, tissue outlined in green, patches in blue, everything else faded, scale bar below."""
    w0, h0 = slide.size_px0
    scale = min(1.0, LONGEST_SIDE_PX / max(w0, h0))  # overlay pixels per level-0 pixel
    size = max(1, round(w0 * scale)), max(1, round(h0 * scale))
    boxes = _boxes(patches, scale)
    picture = _fade_outside(Image.fromarray(slide.thumbnail(size)), boxes)
    picture.paste(OUTLINE, mask=_outline(mask, size))
    draw = ImageDraw.Draw(picture)
    for box in boxes.tolist():
        draw.rectangle(box, outline=GRID)  # 1 pixel; with the neighbour's beside it, 2
    canvas = _with_caption(picture, patches, scale)
    with replacing(path) as temporary:
        canvas.save(temporary, format="PNG")


def _boxes(patches: PatchSet, scale: float) -> np.ndarray:
    """Int64 ``[N, 4]``: left, top, right, bottom of every patch in overlay pixels, borders included."""
    low = patches.coords_xy * scale
    high = (patches.coords_xy + patches.patch_size_level0) * scale
    return np.concatenate([low.round(), high.round() - 1], axis=1).astype(np.int64)


def _fade_outside(picture: Image.Image, boxes: np.ndarray) -> Image.Image:
    """``picture`` with everything but the boxes blended towards white."""
    kept = Image.new("L", picture.size, 0)
    draw = ImageDraw.Draw(kept)
    for box in boxes.tolist():
        draw.rectangle(box, fill=255)
    faded = Image.blend(picture, Image.new("RGB", picture.size, "white"), FADE)
    return Image.composite(picture, faded, kept)


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
    font = ImageFont.load_default(18)
    middle = picture.height + CAPTION_PX // 2
    px_per_um = scale / patches.level0_mpp
    fitting = [um for um in BAR_LENGTHS_UM if um * px_per_um <= picture.width / 5]
    x = 12
    if fitting:
        end = x + round(fitting[-1] * px_per_um)
        draw.rectangle((x, middle - 3, end, middle + 3), fill=INK)
        draw.text((end + 8, middle), _length(fitting[-1]), fill=INK, font=font, anchor="lm")
        x = end + 90
    text = (
        f"{patches.name}   {len(patches.coords_xy)} patches of {patches.patch_size} px "
        f"at {patches.mpp:.3g} um/px ({patches.patch_size_level0} px at level 0)"
    )
    while len(text) > 1 and x + draw.textlength(text, font=font) > picture.width - 12:
        text = text[:-1]
    draw.text((x, middle), text, fill=INK, font=font, anchor="lm")
    return canvas


def _length(um: int) -> str:
    return f"{um / 1000:g} mm" if um >= 1000 else f"{um} um"
