"""Attention map: how much of a language model's attention went to each patch of a slide or part of an image."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from .colour_scale import HEAT, colours_of, levels_of
from .drawing import boxes_px, fade_outside
from .legend import with_legend
from .views import View


def attention_picture(
    view: View, *, boxes: np.ndarray, weights: np.ndarray, name: str, text: str, level0_mpp: float | None
) -> Image.Image:
    """Return a view with each box in the colour of its weight, all else faded, above a legend.

    Nothing is smoothed: a box has one colour, where boxes overlap the greater weight is seen.

    Args:
        view: The slide, image or canvas.
        boxes: ``[N, 4]`` x, y, width and height, level-0 pixels; at least one.
        weights: ``[N]`` finite numbers.
        name: What the colours show, in a few words.
        text: Describes the picture.
        level0_mpp: Microns per level-0 pixel, for the scale bar; None draws none.
    """
    if not len(boxes) or boxes.shape != (len(weights), 4) or not np.isfinite(weights).all():
        raise ValueError(f"boxes {boxes.shape} and weights {weights.shape}: expected [N, 4], [N] finite numbers, N > 0")
    placed = boxes_px(boxes[:, :2] - view.origin_px0, boxes[:, 2:], view.scale)
    picture, colours = fade_outside(view.picture, placed), colours_of(levels_of(weights))
    paint, cover = Image.new("RGB", picture.size), Image.new("L", picture.size, 0)
    on_paint, on_cover = ImageDraw.Draw(paint), ImageDraw.Draw(cover)
    for row in np.argsort(weights, kind="stable").tolist():
        on_paint.rectangle(placed[row].tolist(), fill=tuple(colours[row].tolist()))
        on_cover.rectangle(placed[row].tolist(), fill=round(255 * HEAT))
    picture = Image.composite(paint, picture, cover)
    px_per_um = None if level0_mpp is None else view.scale / level0_mpp
    return with_legend(picture, text, weights, name, px_per_um, kept=False)
