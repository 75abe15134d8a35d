"""Heat map: a picture of one slide that shows which patches a token selector kept, and how it scored them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import replacing

from ..slides.slide import Slide, SlideError
from ..tissue.geojson import Colour, write_patches
from .drawing import INK, LONGEST_SIDE_PX, MARGIN_PX, boxes_px, draw_scale_bar, fade_outside, font

KEPT = (220, 20, 30)  #: red: the one strong colour that neither viridis nor H&E has
NOT_KEPT = (150, 150, 150)
#: viridis at ninths, from dark to bright: equal steps look equal, in grey and to the colour-blind too
VIRIDIS = np.array(
    [
        (68, 1, 84),
        (72, 40, 120),
        (62, 74, 137),
        (49, 104, 142),
        (38, 130, 142),
        (31, 158, 137),
        (53, 183, 121),
        (109, 205, 89),
        (180, 222, 44),
        (253, 231, 37),
    ]
)
HEAT = 0.6  #: how much of a score's colour covers the slide
TINT, SHADE = 0.12, 0.25  #: without scores: how much of KEPT and of NOT_KEPT does
FEW = 20  #: fewer scores are coloured from the lowest to the highest
PATCH_PX, MOST_PX = 8, 4096  #: the picture grows until patches are this wide, or it is this long
NARROWEST_PX = 900  #: room for the text below
LINE_PX = 26
MOST_LINES = 4
BAR_PX = (220, 16)


class View(NamedTuple):
    """The picture before anything is drawn on it, and where on the slide it lies."""

    picture: Image.Image
    origin_px0: np.ndarray
    """``[2]`` (x, y) of its top-left corner."""
    scale: float
    """Its pixels per level-0 pixel."""


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
) -> tuple[Path, Path]:
    """Write the picture, and beside it the patches as GeoJSON; both complete or absent.

    Args:
        out: the picture, ``.png``.
        coords_xy: ``[N, 2]`` top-left corners of the patches, level-0 pixels.
        patch_size_level0: side of a patch, level-0 pixels.
        level0_mpp: microns per level-0 pixel, for the scale bar; None draws none.
        kept: ``[N]`` bool.
        scores: ``[N]``, any finite numbers, higher for what is rather kept; None if patches are kept without scores.
        score_name: what the scores are, in a few words.
        title: the mode and what else was asked.
        slide: the slide the patches were cut from; None draws on a blank canvas.

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
    canvas = _with_legend(picture, text, scores, score_name, None if level0_mpp is None else view.scale / level0_mpp)
    patches = out.with_suffix(".geojson")
    with replacing(out) as png, replacing(patches) as geojson:
        canvas.save(png, format="PNG")
        write_patches(
            geojson,
            coords_xy=coords_xy,
            patch_size_level0=patch_size_level0,
            classes=[("kept", KEPT) if mine else ("not kept", NOT_KEPT) for mine in kept.tolist()],
            measurements={} if scores is None else {score_name: scores},
        )
    return out, patches


def _of_slide(path: Path, coords_xy: np.ndarray, side_px0: int) -> View:
    """The whole slide."""
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
        size = max(1, round(w0 * scale)), max(1, round(h0 * scale))
        return View(Image.fromarray(slide.thumbnail(size)), np.zeros(2, np.int64), scale)


def _blank(coords_xy: np.ndarray, side_px0: int) -> View:
    """White, from a patch before the first to a patch behind the last."""
    origin = coords_xy.min(axis=0) - side_px0
    w0, h0 = (coords_xy.max(axis=0) + 2 * side_px0 - origin).tolist()
    scale = _scale((w0, h0), side_px0)
    return View(Image.new("RGB", (max(1, round(w0 * scale)), max(1, round(h0 * scale))), "white"), origin, scale)


def _scale(size_px0: tuple[int, int], side_px0: int) -> float:
    longest = max(size_px0)
    return min(1.0, max(LONGEST_SIDE_PX / longest, min(PATCH_PX / side_px0, MOST_PX / longest)))


def _painted(view: View, boxes: np.ndarray, kept: np.ndarray, scores: np.ndarray | None) -> Image.Image:
    """The view faded where nothing is kept, every patch in its colour, the kept ones outlined (``boxes`` [N, 4])."""
    picture = fade_outside(view.picture, boxes[kept])
    if scores is None:
        colours, strengths = np.where(kept[:, None], KEPT, NOT_KEPT), np.where(kept, TINT, SHADE)
    else:
        colours, strengths = _colours(_levels(scores)), np.full(len(kept), HEAT)
    # Where patches overlap, kept ones lie over the rest, and of each the best on top.
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


def _levels(scores: np.ndarray) -> np.ndarray:
    """[N] from 0 to 1: where each score lies between the ends of the colours; 0.5 where all are the same."""
    low, high = _ends(scores)
    if low == high:
        return np.full(len(scores), 0.5)
    return ((scores.astype(np.float64) - low) / (high - low)).clip(0, 1)


def _ends(scores: np.ndarray) -> tuple[float, float]:
    """The scores with the first and the last colour: without a hundredth at either end, at least one.

    A single patch that scores far above the rest, as attention often has, would leave the rest one colour. Of few
    patches none can be spared.
    """
    ranked = np.sort(scores.astype(np.float64))
    cut = -(-len(ranked) // 100) if len(ranked) >= FEW else 0
    low, high = float(ranked[cut]), float(ranked[-1 - cut])
    return (low, high) if low < high else (float(ranked[0]), float(ranked[-1]))  # all but some are the same


def _colours(levels: np.ndarray) -> np.ndarray:
    """uint8 ``[N, 3]`` of levels (``[N]``, from 0 to 1)."""
    places = np.linspace(0, 1, len(VIRIDIS))
    return np.stack([np.interp(levels, places, channel) for channel in VIRIDIS.T], axis=1).round().astype(np.uint8)


def _with_legend(
    picture: Image.Image, text: str, scores: np.ndarray | None, score_name: str, px_per_um: float | None
) -> Image.Image:
    """``picture`` above what it shows, in words, and a line with the scale bar and what the colours mean."""
    width = max(picture.width, NARROWEST_PX)
    lines = _wrapped(text, width - 2 * MARGIN_PX)
    if scores is not None:
        lowest, highest = _numbers(float(scores.min()), float(scores.max()))
        lines += _wrapped(f"colours: {score_name}, lowest {lowest}, highest {highest}", width - 2 * MARGIN_PX)
    height = picture.height + LINE_PX * (len(lines) + 1) + 3 * MARGIN_PX
    canvas = Image.new("RGB", (width, height), "white")
    canvas.paste(picture)
    draw = ImageDraw.Draw(canvas)
    y = picture.height + MARGIN_PX
    for line in lines:
        draw.text((MARGIN_PX, y + LINE_PX // 2), line, fill=INK, font=font(), anchor="lm")
        y += LINE_PX
    x, y = MARGIN_PX, y + MARGIN_PX + LINE_PX // 2
    if px_per_um is not None:
        x = draw_scale_bar(draw, x, y, px_per_um=px_per_um, longest_px=width / 5)
    x = _swatch(draw, x, y, "kept", _on_white(KEPT, 0 if scores is not None else TINT), KEPT)
    if scores is None:
        _swatch(draw, x, y, "not kept", _on_white(NOT_KEPT, SHADE), None)
    else:
        _colour_bar(canvas, x, y, scores)
    return canvas


def _swatch(draw: ImageDraw.ImageDraw, x: int, middle: int, text: str, fill: np.ndarray, outline: Colour | None) -> int:
    """A sample patch and what it stands for; the x at which the next may begin."""
    side = BAR_PX[1]
    box = (x, middle - side // 2, x + side, middle + side // 2)
    draw.rectangle(box, fill=tuple(fill.tolist()), outline=outline, width=2)
    draw.text((x + side + 8, middle), text, fill=INK, font=font(), anchor="lm")
    return x + side + 32 + round(draw.textlength(text, font=font()))


def _colour_bar(canvas: Image.Image, x: int, middle: int, scores: np.ndarray) -> None:
    """The colours from first to last, as they look on white, between the scores they stand for."""
    (w, h), draw = BAR_PX, ImageDraw.Draw(canvas)
    low, high = _ends(scores)
    at_low, at_high = _numbers(low, high)
    at_low = f"<= {at_low}" if scores.min() < low else at_low
    at_high = f">= {at_high}" if scores.max() > high else at_high
    draw.text((x, middle), at_low, fill=INK, font=font(), anchor="lm")
    x += round(draw.textlength(at_low, font=font())) + 8
    bar = np.broadcast_to(_on_white(_colours(np.linspace(0, 1, w)), HEAT), (h, w, 3))  # [h, w, 3]
    canvas.paste(Image.fromarray(np.ascontiguousarray(bar)), (x, middle - h // 2))
    draw.text((x + w + 8, middle), at_high, fill=INK, font=font(), anchor="lm")


def _on_white(colours: np.ndarray | Colour, strength: float) -> np.ndarray:
    """Colours (``[..., 3]``) as they look over a white slide, uint8."""
    return (255 + (np.asarray(colours, np.float64) - 255) * strength).round().astype(np.uint8)


def _numbers(*values: float) -> list[str]:
    """Numbers with three digits, or as many more as tell them apart (0.9991 and 0.9993); not above eight."""
    for digits in range(3, 9):
        told = [f"{value:.{digits}g}" for value in values]
        if len({*told}) == len({*values}):
            break
    return told


def _wrapped(text: str, width_px: int) -> list[str]:
    """``text`` in lines that fit, broken between words or, where a word is longer than a line, in it."""
    lines, line = [], ""
    for word in " ".join(text.split()).split(" "):
        whole = f"{line} {word}" if line else word
        if font().getlength(whole) <= width_px:
            line = whole
            continue
        if line:
            lines.append(line)
        line = ""
        for letter in word:
            if line and font().getlength(line + letter) > width_px:
                lines.append(line)
                line = ""
            line += letter
    lines.append(line)
    return lines if len(lines) <= MOST_LINES else [*lines[: MOST_LINES - 1], f"{lines[MOST_LINES - 1][:-3]}..."]
