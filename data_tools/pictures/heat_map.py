"""Heat map: draw which patches of a slide a token selector kept, and how it scored them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import replacing

from ..slides.bounds import origin_xy
from ..slides.slide import Slide, SlideError
from ..tissue.geojson import write_patches
from .colour_scale import HEAT, colours_of, levels_of
from .drawing import LONGEST_SIDE_PX, boxes_px, fade_outside, scaled_size
from .legend import KEPT, NOT_KEPT, SHADE, TINT, with_legend

PATCH_PX, MOST_PX = 8, 4096  #: the picture grows until patches are this wide, or it is this long


class View(NamedTuple):
    """The picture before anything is drawn on it, and where on the slide it lies."""

    picture: Image.Image
    origin_px0: np.ndarray
    """``[2]`` (x, y) of its top-left corner."""
    scale: float
    """Its pixels per level-0 pixel."""
    qupath_xy: tuple[int, int] = (0, 0)
    """Where QuPath counts from on this slide, level-0 pixels."""


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
    if scores is not None and not np.isfinite(scores).all():
        bad = int((~np.isfinite(scores)).sum())
        raise PathPluginsError(
            f"{out}: {bad} of {len(scores)} patch scores are NaN or infinite, expected numbers; the features of the "
            "bag or the weights of the model are damaged: extract the bag again, or take another checkpoint"
        )
    view = _blank(coords_xy, patch_size_level0) if slide is None else _of_slide(slide, coords_xy, patch_size_level0)
    picture = _painted(view, boxes_px(coords_xy - view.origin_px0, patch_size_level0, view.scale), kept, scores)
    text = f"kept {int(kept.sum())} of {len(kept)} patches, {title}"
    canvas = with_legend(picture, text, scores, score_name, None if level0_mpp is None else view.scale / level0_mpp)
    patches = out.with_suffix(".geojson")
    with replacing(out) as png, replacing(patches) as geojson:
        canvas.save(png, format="PNG")
        write_patches(
            geojson,
            coords_xy=coords_xy,
            patch_size_level0=patch_size_level0,
            classes=[("kept", KEPT) if mine else ("not kept", NOT_KEPT) for mine in kept.tolist()],
            measurements={} if scores is None else {score_name: scores},
            origin_xy=qupath_xy if slide is None else view.qupath_xy,
        )
    return out, patches


def _of_slide(path: Path, coords_xy: np.ndarray, side_px0: int) -> View:
    """Return a view of the whole slide."""
    with Slide(path) as slide:
        w0, h0 = slide.size_px0
        outside = (coords_xy >= (w0, h0)).any(axis=1)
        if outside.any():
            raise SlideError(
                f"{path} is {w0} x {h0} pixels but {int(outside.sum())} of {len(coords_xy)} patches start outside it, "
                f"one at x, y = {coords_xy[outside.argmax()].tolist()}; the bag is of another slide: give its own, or "
                "none for a blank canvas"
            )
        scale = _scale((w0, h0), side_px0)
        picture = Image.fromarray(slide.thumbnail(scaled_size((w0, h0), scale)))
        return View(picture, np.zeros(2, np.int64), scale, origin_xy(slide.properties))


def _blank(coords_xy: np.ndarray, side_px0: int) -> View:
    """Return a white view, with a margin of one patch around all patches."""
    origin = coords_xy.min(axis=0) - side_px0
    w0, h0 = (coords_xy.max(axis=0) + 2 * side_px0 - origin).tolist()
    scale = _scale((w0, h0), side_px0)
    return View(Image.new("RGB", scaled_size((w0, h0), scale), "white"), origin, scale)


def _scale(size_px0: tuple[int, int], side_px0: int) -> float:
    """Return the pixels of the picture per level-0 pixel."""
    longest = max(size_px0)
    return min(1.0, max(LONGEST_SIDE_PX / longest, min(PATCH_PX / side_px0, MOST_PX / longest)))


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
