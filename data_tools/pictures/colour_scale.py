"""Colour scale: the colours of patch scores, and the scores at the two ends of them."""

from __future__ import annotations

import numpy as np

from ..tissue.geojson import Colour

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
FEW = 20  #: fewer scores are coloured from the lowest to the highest


def levels_of(scores: np.ndarray) -> np.ndarray:
    """Return [N] from 0 to 1: where each score lies between the ends of the colours; 0.5 where all are the same."""
    low, high = ends_of(scores)
    if low == high:
        return np.full(len(scores), 0.5)
    return ((scores.astype(np.float64) - low) / (high - low)).clip(0, 1)


def ends_of(scores: np.ndarray) -> tuple[float, float]:
    """Return the scores with the first and the last colour: a hundredth at either end, at least one, lies beyond.

    Otherwise a single patch that scores far above the rest, as attention often has, would leave the rest one colour.
    With fewer than ``FEW`` patches the colours run from the lowest to the highest score.
    """
    ranked = np.sort(scores.astype(np.float64))
    cut = -(-len(ranked) // 100) if len(ranked) >= FEW else 0
    low, high = float(ranked[cut]), float(ranked[-1 - cut])
    return (low, high) if low < high else (float(ranked[0]), float(ranked[-1]))  # nearly all are the same


def colours_of(levels: np.ndarray) -> np.ndarray:
    """Return uint8 ``[N, 3]``, the colours of levels (``[N]``, from 0 to 1)."""
    places = np.linspace(0, 1, len(VIRIDIS))
    return np.stack([np.interp(levels, places, channel) for channel in VIRIDIS.T], axis=1).round().astype(np.uint8)


def on_white(colours: np.ndarray | Colour, strength: float) -> np.ndarray:
    """Return colours (``[..., 3]``) as they look over a white slide, uint8."""
    return (255 + (np.asarray(colours, np.float64) - 255) * strength).round().astype(np.uint8)
