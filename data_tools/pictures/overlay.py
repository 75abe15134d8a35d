"""Overlay: a picture of one slide that shows its tissue and its patches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from pathplugins.core.files import replacing

from ..slides.slide import Slide
from .drawing import LONGEST_SIDE_PX, boxes_px, fade_outside, scaled_size, with_caption

OUTLINE = (0, 140, 70)  #: green stands out from the pinks and purples of H&E
GRID = (25, 60, 190)
LEFT_OUT = (220, 20, 30)  #: red, and yet not the red of ink: that is faded
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
    left_out: np.ndarray | None = None,
) -> None:
    """Write a PNG: the slide, tissue outlined in green, ink in red, patches in blue, the rest faded, scale bar below.

    Args:
        path: The PNG; complete or absent.
        slide: The slide.
        mask: Its tissue, bool ``[H, W]`` over the whole slide.
        coords_xy: ``[N, 2]`` top-left corners of the patches, level-0 pixels.
        patch_size_level0: Side of a patch, level-0 pixels.
        level0_mpp: Microns per level-0 pixel.
        caption: Stands beside the scale bar, cut where the picture ends.
        left_out: Ink and black that were left out, bool ``[H, W]`` over the whole slide.
    """
    scale = min(1.0, LONGEST_SIDE_PX / max(slide.size_px0))  # overlay pixels per level-0 pixel
    size = scaled_size(slide.size_px0, scale)
    boxes = boxes_px(coords_xy, patch_size_level0, scale)
    picture = fade_outside(Image.fromarray(slide.thumbnail(size)), boxes)
    if left_out is not None:
        picture.paste(LEFT_OUT, mask=_outline(left_out, size))
    picture.paste(OUTLINE, mask=_outline(mask, size))
    draw = ImageDraw.Draw(picture)
    for box in boxes.tolist():
        draw.rectangle(box, outline=GRID)  # 1 pixel; with the neighbour's beside it, 2
    canvas = with_caption(picture, caption, px_per_um=scale / level0_mpp, strip_px=CAPTION_PX)
    with replacing(path) as temporary:
        canvas.save(temporary, format="PNG")


def _outline(mask: np.ndarray, size: tuple[int, int]) -> Image.Image:
    """Return the border of a mask as an L image of the overlay's size, 3 pixels wide and smoothed."""
    large = Image.fromarray(mask.astype(np.uint8) * 255).resize(size, Image.Resampling.BICUBIC)
    inside = large.point(lambda v: 255 if v > 127 else 0)
    grown, shrunk = inside.filter(ImageFilter.MaxFilter(3)), inside.filter(ImageFilter.MinFilter(3))
    return Image.fromarray(np.asarray(grown) ^ np.asarray(shrunk))
