"""Coordinates of the drawings on a report page, which its template writes as SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SIDE = 320
"""Of the drawing area in SVG units, without its margins; y points down, as in SVG."""
HUES = 8
"""Line colours in the style sheet; then they start again with the next dash."""
DASHES = ("none", "7 4", "2 3")


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A line on a drawing."""

    name: str
    points: str
    """As SVG's ``points``: ``x,y x,y ...``."""
    hue: int
    """Number of its colour, 0 to ``HUES`` - 1."""
    dash: str


@dataclass(frozen=True, kw_only=True)
class Bar:
    """A bin of the reliability diagram."""

    x: float
    y: float
    width: float
    height: float
    weight: float
    """Share of the samples of the fullest bin, 0 to 1."""
    told: str


def curves(points: Mapping[str, Sequence[tuple[float, float]]]) -> list[Curve]:
    """Return ROC curves as lines of the drawing, each told apart by colour and dash."""
    return [
        Curve(
            name=name,
            points=" ".join(f"{x * SIDE:.1f},{(1 - y) * SIDE:.1f}" for x, y in line),
            hue=index % HUES,
            dash=DASHES[index // HUES % len(DASHES)],
        )
        for index, (name, line) in enumerate(points.items())
    ]


def bars(bins: Sequence[Mapping[str, Any]]) -> list[Bar]:
    """Return the filled bins of a reliability diagram as bars of the drawing."""
    fullest = max(part["samples"] for part in bins)
    return [
        Bar(
            x=part["from"] * SIDE,
            y=(1 - part["accuracy"]) * SIDE,
            width=(part["to"] - part["from"]) * SIDE,
            height=part["accuracy"] * SIDE,
            weight=part["samples"] / fullest,
            told=f"{part['from']:.2f} to {part['to']:.2f}: {part['samples']:,} samples, {part['accuracy']:.1%} right",
        )
        for part in bins
        if part["samples"]
    ]


def shades(confusion: Sequence[Sequence[int]]) -> list[list[dict[str, Any]]]:
    """Return the cells of a confusion matrix: count, share of its row (None in an empty one), ground and text colour.

    Both colours are set together, so that the text keeps its contrast on light and dark pages.
    """
    rows = []
    for counts in confusion:
        total, row = sum(counts), []
        for count in counts:
            ground = ground_of(count / total if total else 0.0)
            share = count / total if total else None
            row.append({"count": count, "share": share, "ground": ground, "text": text_on(ground)})
        rows.append(row)
    return rows


def ground_of(share: float) -> tuple[int, int, int]:
    """Return the colour of a share: from nearly white to dark blue."""
    low, high = (244, 247, 251), (8, 48, 107)
    return tuple(round(a + (b - a) * share) for a, b in zip(low, high, strict=True))  # type: ignore[return-value]


def text_on(ground: tuple[int, int, int]) -> str:
    """Return black or white, whichever reads better on a colour."""
    return "#000" if contrast((0, 0, 0), ground) >= contrast((255, 255, 255), ground) else "#fff"


def contrast(one: tuple[int, int, int], other: tuple[int, int, int]) -> float:
    """Return the contrast ratio of two colours, 1 to 21, as WCAG 2 defines it."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: tuple[int, int, int]) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (value / 255 for value in colour)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
