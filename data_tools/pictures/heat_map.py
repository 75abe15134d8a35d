"""Heat map: draw which patches of a slide a token selector kept, and how it scored them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import replacing

from ..tissue.geojson import write_patches
from .colour_scale import HEAT, colours_of, levels_of
from .drawing import boxes_px, fade_outside
from .legend import KEPT, NOT_KEPT, SHADE, TINT, with_legend
from .views import View, view_of


def draw_selection(
    out: Path,
    *,
    coords_xy: np.ndarray,
    patch_size_level0: int,
    level0_mpp: float | None,
    kept: np.ndarray,
    scores: np.ndarray | None,
    score_name: str,
    title: str,
    slide: Path | None,
    qupath_xy: tuple[int, int] = (0, 0),
) -> tuple[Path, Path]:
    """Write the picture, and beside it the patches as GeoJSON; both complete or absent.

    Args:
        out: The picture, ``.png``.
        coords_xy: ``[N, 2]`` top-left corners of the patches, level-0 pixels.
        patch_size_level0: Side of a patch, level-0 pixels.
        level0_mpp: Microns per level-0 pixel, for the scale bar; None draws none.
        kept: ``[N]`` bool.
        scores: ``[N]`` finite numbers, higher for patches that are rather kept; None without scores.
        score_name: Name of the scores, in a few words.
        title: The selector and its settings, for the legend.
        slide: The slide that the patches were cut from; None draws on a blank canvas.
        qupath_xy: Where QuPath counts from, level-0 pixels, where there is no slide to ask.

    Returns:
        The paths of the PNG and of the GeoJSON.

    Raises:
        PathPluginsError: the patches cannot be drawn, or not on this slide.
    """
    if out.suffix.lower() != ".png":
        raise PathPluginsError(f"{out}: the picture is a PNG; give a name that ends in .png")
    if patch_size_level0 < 1:
        raise PathPluginsError(f"{out}: patches of {patch_size_level0} level-0 pixels cannot be drawn; give their side")
    if not len(coords_xy) or kept.shape != (len(coords_xy),) or (scores is not None and scores.shape != kept.shape):
        got = f"coords {coords_xy.shape}, kept {kept.shape}, scores {None if scores is None else scores.shape}"
        raise ValueError(f"{got}: expected [N, 2], [N] and [N] of the same patches, at least one")
    view = view_of(slide, coords_xy, patch_size_level0)
    where: dict[str, Any] = {"coords_xy": coords_xy, "patch_size_level0": patch_size_level0}
    canvas = selection_picture(
        view,
        **where,
        level0_mpp=level0_mpp,
        kept=kept,
        scores=scores,
        score_name=score_name,
        title=title,
    )
    patches = out.with_suffix(".geojson")
    with replacing(out) as png, replacing(patches) as geojson:
        canvas.save(png, format="PNG")
        write_patches(
            geojson,
            **where,
            classes=[("kept", KEPT) if mine else ("not kept", NOT_KEPT) for mine in kept.tolist()],
            measurements={} if scores is None else {score_name: scores},
            origin_xy=qupath_xy if slide is None else view.qupath_xy,
        )
    return out, patches


def selection_picture(
    view: View,
    *,
    coords_xy: np.ndarray,
    patch_size_level0: int,
    level0_mpp: float | None,
    kept: np.ndarray,
    scores: np.ndarray | None,
    score_name: str,
    title: str,
) -> Image.Image:
    """Return the picture of `draw_selection`, whose arguments these are, on a view of the slide."""
    if scores is not None and not np.isfinite(scores).all():
        bad = int((~np.isfinite(scores)).sum())
        raise PathPluginsError(
            f"{bad} of {len(scores)} patch scores are NaN or infinite, expected numbers; the features of the "
            "bag or the weights of the model are damaged: extract the bag again, or take another checkpoint"
        )
    picture = _painted(view, boxes_px(coords_xy - view.origin_px0, patch_size_level0, view.scale), kept, scores)
    text = f"kept {int(kept.sum())} of {len(kept)} patches, {title}"
    return with_legend(picture, text, scores, score_name, None if level0_mpp is None else view.scale / level0_mpp)


def _painted(view: View, boxes: np.ndarray, kept: np.ndarray, scores: np.ndarray | None) -> Image.Image:
    """Paint every patch (``boxes`` [N, 4]) in its colour, outline the kept ones, and fade the rest of the slide."""
    picture = fade_outside(view.picture, boxes[kept])
    if scores is None:
        colours, strengths = np.where(kept[:, None], KEPT, NOT_KEPT), np.where(kept, TINT, SHADE)
    else:
        colours, strengths = colours_of(levels_of(scores)), np.full(len(kept), HEAT)
    # where patches overlap, kept ones are painted last, and among those the best last
    order = np.lexsort((np.zeros(len(kept)) if scores is None else scores, kept)).tolist()
    paint, cover = Image.new("RGB", picture.size), Image.new("L", picture.size, 0)
    on_paint, on_cover = ImageDraw.Draw(paint), ImageDraw.Draw(cover)
    for row in order:
        on_paint.rectangle(boxes[row].tolist(), fill=tuple(colours[row].tolist()))
        on_cover.rectangle(boxes[row].tolist(), fill=round(255 * strengths[row]))
    picture = Image.composite(paint, picture, cover)
    draw = ImageDraw.Draw(picture)
    for row in order:
        if kept[row]:
            box = boxes[row].tolist()
            draw.rectangle(box, outline=KEPT, width=min(3, 1 + (box[2] - box[0]) // 16))
    return picture
