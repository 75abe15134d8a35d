"""Coordinates of the drawing of a run's losses, which the page writes as SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pathplugins.commands.report.training import Training

WIDTH, HEIGHT = 480, 240
"""Of the drawing area in SVG units, without its margins; y points down, as in SVG."""
POINTS = 400
"""Of a line, at most; above it a point is the mean of several."""
_DOTS = 40  #: points up to which each is marked

Point = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Tick:
    """A mark on an axis."""

    at: float
    text: str


@dataclass(frozen=True, kw_only=True)
class LossCurve:
    """A line of the drawing."""

    name: str
    points: str
    """As SVG's ``points``: ``x,y x,y ...``."""
    dots: list[Point]
    hue: int
    """Number of its colour in the style sheet."""
    told: str
    """First, lowest and last value."""


@dataclass(frozen=True, kw_only=True)
class LossPlot:
    """The drawing of one run."""

    name: str
    curves: list[LossCurve]
    across: list[Tick]
    up: list[Tick]
    notes: list[str]


def loss_plot(training: Training) -> LossPlot:
    """Return the drawing of a run's losses."""
    every = [point for line in training.losses.values() for point in line]
    steps, values = ([point[axis] for point in every] for axis in (0, 1))
    across, up = (_ticks(min(numbers), max(numbers)) for numbers in (steps, values))

    def place(point: Point) -> Point:
        x, y = ((number - ticks[0]) / (ticks[-1] - ticks[0]) for number, ticks in zip(point, (across, up), strict=True))
        return round(x * WIDTH, 1), round((1 - y) * HEIGHT, 1)

    curves, notes = [], []
    for hue, (name, line) in enumerate(training.losses.items()):
        thin, size = _thinned(line)
        if size > 1:
            notes.append(f"each point of {name} is the mean of {size} logged ones")
        places = [place(point) for point in thin]
        lowest = min(line, key=lambda point: point[1])
        first, last = line[0], line[-1]
        curves.append(
            LossCurve(
                name=name,
                points=" ".join(f"{x},{y}" for x, y in places),
                dots=places if len(places) <= _DOTS else [],
                hue=hue,
                told=f"{first[1]:.4g} at step {first[0]:,}, lowest {lowest[1]:.4g} at {lowest[0]:,}, "
                f"last {last[1]:.4g} at {last[0]:,}",
            )
        )
    if training.odd:
        notes.append(f"{training.odd:,} logged values are no finite number and not drawn")
    return LossPlot(
        name=training.name,
        curves=curves,
        across=[Tick(at=place((number, up[0]))[0], text=f"{number:,.10g}") for number in across],
        up=[Tick(at=place((across[0], number))[1], text=f"{number:.10g}") for number in up],
        notes=notes,
    )


def _thinned(line: Sequence[tuple[int, float]]) -> tuple[list[Point], int]:
    """Return a line of `POINTS` points or fewer, each the mean of as many as are returned beside."""
    size = math.ceil(len(line) / POINTS)
    parts = [line[start : start + size] for start in range(0, len(line), size)]
    return [(sum(s for s, _ in part) / len(part), sum(v for _, v in part) / len(part)) for part in parts], size


def _ticks(low: float, high: float) -> list[float]:
    """Return three to seven round numbers, evenly spaced, that reach from ``low`` or below to ``high`` or above."""
    if high == low:
        low, high = low - (abs(low) or 1) / 2, high + (abs(high) or 1) / 2
    power = 10 ** math.floor(math.log10((high - low) / 4))
    step = next(factor * power for factor in (1, 2, 5, 10) if (high - low) / (factor * power) <= 5)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [round(number * step, 12) for number in range(first, last + 1)]
