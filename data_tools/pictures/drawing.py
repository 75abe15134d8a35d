"""Drawing on a slide: boxes, fading, fonts and scale bars, for overlays and heat maps.

Sizes are (w, h), positions (x, y); ``_px0`` is level-0 pixels, ``_px`` pixels of the picture.
"""

from __future__ import annotations

import functools

import numpy as np
from PIL import Image, ImageDraw, ImageFont

LONGEST_SIDE_PX = 2048
INK = (30, 30, 30)
FADE = 0.6  #: how far pixels outside the boxes are blended towards white
MARGIN_PX = 12  #: around the text below a picture
BAR_LENGTHS_UM = (20, 50, 100, 200, 500, 1000, 2000, 5000, 10000)


@functools.cache
def font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return the font of captions."""
    return ImageFont.load_default(18)


def scaled_size(size_px0: tuple[int, int], scale: float) -> tuple[int, int]:
    """Return (w, h) of a picture of ``size_px0`` at ``scale`` pixels per level-0 pixel, at least one pixel each."""
    return max(1, round(size_px0[0] * scale)), max(1, round(size_px0[1] * scale))


def boxes_px(coords_xy: np.ndarray, size_px0: int | np.ndarray, scale: float) -> np.ndarray:
    """Return int64 ``[N, 4]``: left, top, right, bottom of boxes in pixels of the picture, borders included.

    Args:
        coords_xy: ``[N, 2]`` top-left corners, level-0 pixels from the picture's own corner.
        size_px0: Side of squares, or ``[N, 2]`` width and height.
        scale: Pixels of the picture per level-0 pixel.
    """
    low = (coords_xy * scale).round()
    high = ((coords_xy + size_px0) * scale).round() - 1
    return np.concatenate([low, np.maximum(low, high)], axis=1).astype(np.int64)


def fade_outside(picture: Image.Image, boxes: np.ndarray) -> Image.Image:
    """Return ``picture`` with everything but the boxes (``[N, 4]``, see `boxes_px`) blended towards white."""
    kept = Image.new("L", picture.size, 0)
    draw = ImageDraw.Draw(kept)
    for box in boxes.tolist():
        draw.rectangle(box, fill=255)
    faded = Image.blend(picture, Image.new("RGB", picture.size, "white"), FADE)
    return Image.composite(picture, faded, kept)


def draw_scale_bar(draw: ImageDraw.ImageDraw, x: int, middle: int, *, px_per_um: float, longest_px: float) -> int:
    """Draw the longest bar of a round length that fits into ``longest_px``, and its length; none if none fits.

    Returns:
        The x at which text beside the bar may begin.
    """
    fitting = [um for um in BAR_LENGTHS_UM if um * px_per_um <= longest_px]
    if not fitting:
        return x
    um = fitting[-1]
    end = x + round(um * px_per_um)
    draw.rectangle((x, middle - 3, end, middle + 3), fill=INK)
    draw.text((end + 8, middle), f"{um / 1000:g} mm" if um >= 1000 else f"{um} um", fill=INK, font=font(), anchor="lm")
    return end + 90


def with_caption(picture: Image.Image, caption: str, *, px_per_um: float | None, strip_px: int) -> Image.Image:
    """Return ``picture`` above a strip with a scale bar and the caption, which is cut where the picture ends.

    Args:
        picture: The painted slide.
        caption: One line.
        px_per_um: Pixels of the picture per micron; None draws no scale bar.
        strip_px: Height of the strip.
    """
    canvas = Image.new("RGB", (picture.width, picture.height + strip_px), "white")
    canvas.paste(picture)
    draw, x, middle = ImageDraw.Draw(canvas), MARGIN_PX, picture.height + strip_px // 2
    if px_per_um is not None:
        x = draw_scale_bar(draw, x, middle, px_per_um=px_per_um, longest_px=picture.width / 5)
    while len(caption) > 1 and x + draw.textlength(caption, font=font()) > picture.width - MARGIN_PX:
        caption = caption[:-1]
    draw.text((x, middle), caption, fill=INK, font=font(), anchor="lm")
    return canvas
