"""Legend: what a heat map shows, in words, with the scale bar and the meaning of its colours."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from ..tissue.geojson import Colour
from .colour_scale import HEAT, colours_of, ends_of, on_white
from .drawing import INK, MARGIN_PX, draw_scale_bar, font

KEPT = (220, 20, 30)  #: red: the one strong colour that neither viridis nor H&E has
NOT_KEPT = (150, 150, 150)
TINT, SHADE = 0.12, 0.25  #: without scores: how much of KEPT and of NOT_KEPT covers the slide
NARROWEST_PX = 900  #: width that the text needs
LINE_PX = 26
MOST_LINES = 4
BAR_PX = (220, 16)


def with_legend(
    picture: Image.Image,
    text: str,
    scores: np.ndarray | None,
    score_name: str,
    px_per_um: float | None,
    *,
    kept: bool = True,
) -> Image.Image:
    """Return ``picture`` above a description, the scale bar and the meaning of the colours.

    Args:
        picture: The painted slide.
        text: Describes the picture.
        scores: ``[N]`` scores of the patches; None without any.
        score_name: Name of the scores.
        px_per_um: Pixels of the picture per micron; None draws no scale bar.
        kept: Explain the outline of patches that were kept.
    """
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
    if kept:
        x = _swatch(draw, x, y, "kept", on_white(KEPT, 0 if scores is not None else TINT), KEPT)
    if scores is None:
        _swatch(draw, x, y, "not kept", on_white(NOT_KEPT, SHADE), None)
    else:
        _colour_bar(canvas, x, y, scores)
    return canvas


def _swatch(draw: ImageDraw.ImageDraw, x: int, middle: int, text: str, fill: np.ndarray, outline: Colour | None) -> int:
    """Draw a sample patch and its meaning; returns the x at which the next may begin."""
    side = BAR_PX[1]
    box = (x, middle - side // 2, x + side, middle + side // 2)
    draw.rectangle(box, fill=tuple(fill.tolist()), outline=outline, width=2)
    draw.text((x + side + 8, middle), text, fill=INK, font=font(), anchor="lm")
    return x + side + 32 + round(draw.textlength(text, font=font()))


def _colour_bar(canvas: Image.Image, x: int, middle: int, scores: np.ndarray) -> None:
    """Draw the colours from first to last, as they look on white, between the scores that they stand for."""
    (w, h), draw = BAR_PX, ImageDraw.Draw(canvas)
    low, high = ends_of(scores)
    at_low, at_high = _numbers(low, high)
    at_low = f"<= {at_low}" if scores.min() < low else at_low
    at_high = f">= {at_high}" if scores.max() > high else at_high
    draw.text((x, middle), at_low, fill=INK, font=font(), anchor="lm")
    x += round(draw.textlength(at_low, font=font())) + 8
    bar = np.broadcast_to(on_white(colours_of(np.linspace(0, 1, w)), HEAT), (h, w, 3))  # [h, w, 3]
    canvas.paste(Image.fromarray(np.ascontiguousarray(bar)), (x, middle - h // 2))
    draw.text((x + w + 8, middle), at_high, fill=INK, font=font(), anchor="lm")


def _numbers(*values: float) -> list[str]:
    """Format numbers with three digits, or up to eight where fewer would make them equal (0.9991 and 0.9993)."""
    for digits in range(3, 9):
        told = [f"{value:.{digits}g}" for value in values]
        if len({*told}) == len({*values}):
            break
    return told


def _wrapped(text: str, width_px: int) -> list[str]:
    """Break ``text`` into lines that fit: between words, or within a word that is longer than a line."""
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
