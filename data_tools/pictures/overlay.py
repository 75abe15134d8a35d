"""Overlay: a picture of one slide that shows its tissue and its patches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from pathplugins.core.files import replacing

from ..slides.slide import Slide
from .drawing import INK, LONGEST_SIDE_PX, MARGIN_PX, boxes_px, draw_scale_bar, fade_outside, font

OUTLINE = (0, 140, 70)  #: green stands out from the pinks and purples of H&E
GRID = (25, 60, 190)
CAPTION_PX = 56


def draw_overlay(
    path: Path,
    slide: Slide,
    mask: np.ndarray,
    *,
    coords_xy: np.ndarray,
    patch_size_level0: int,
    level0_mpp: float,
    caption: str,
) -> None:
    """Write a PNG: the slide, tissue outlined in green, patches in blue, everything else faded, scale bar below.

    Args:
        path: The PNG; complete or absent.
        slide: The slide.
        mask: Its tissue, bool ``[H, W]`` over the whole slide.
        coords_xy: ``[N, 2]`` top-left corners of the patches, level-0 pixels.
        patch_size_level0: Side of a patch, level-0 pixels.
        level0_mpp: Microns per level-0 pixel.
        caption: Stands beside the scale bar, cut where the picture ends.
    """
    w0, h0 = slide.size_px0
    scale = min(1.0, LONGEST_SIDE_PX / max(w0, h0))  # overlay pixels per level-0 pixel
    size = max(1, round(w0 * scale)), max(1, round(h0 * scale))
    boxes = boxes_px(coords_xy, patch_size_level0, scale)
    picture = fade_outside(Image.fromarray(slide.thumbnail(size)), boxes)
    picture.paste(OUTLINE, mask=_outline(mask, size))
    draw = ImageDraw.Draw(picture)
    for box in boxes.tolist():
        draw.rectangle(box, outline=GRID)  # 1 pixel; with the neighbour's beside it, 2
    canvas = _with_caption(picture, caption, px_per_um=scale / level0_mpp)
    with replacing(path) as temporary:
        canvas.save(temporary, format="PNG")


def _outline(mask: np.ndarray, size: tuple[int, int]) -> Image.Image:
    """Return the border of the tissue mask as an L image of the overlay's size, 3 pixels wide and smoothed."""
    large = Image.fromarray(mask.astype(np.uint8) * 255).resize(size, Image.Resampling.BICUBIC)
    inside = large.point(lambda v: 255 if v > 127 else 0)
    grown, shrunk = inside.filter(ImageFilter.MaxFilter(3)), inside.filter(ImageFilter.MinFilter(3))
    return Image.fromarray(np.asarray(grown) ^ np.asarray(shrunk))


def _with_caption(picture: Image.Image, caption: str, *, px_per_um: float) -> Image.Image:
    """Return ``picture`` above a strip with a scale bar and the caption."""
    canvas = Image.new("RGB", (picture.width, picture.height + CAPTION_PX), "white")
    canvas.paste(picture)
    draw = ImageDraw.Draw(canvas)
    middle = picture.height + CAPTION_PX // 2
    x = draw_scale_bar(draw, MARGIN_PX, middle, px_per_um=px_per_um, longest_px=picture.width / 5)
    while len(caption) > 1 and x + draw.textlength(caption, font=font()) > picture.width - MARGIN_PX:
        caption = caption[:-1]
    draw.text((x, middle), caption, fill=INK, font=font(), anchor="lm")
    return canvas
