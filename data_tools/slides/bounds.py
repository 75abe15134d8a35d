"""Bounds: the part of a slide that was scanned, which some viewers show as the whole slide.

MRXS, Leica SCN and some other scanners place what they scanned on a larger canvas. OpenSlide, CLAM and TRIDENT count
positions from the corner of that canvas, level 0; so do our coordinate files, bags, manifests and masks. QuPath crops
the canvas to the bounds and counts from their corner, so whatever goes to QuPath or comes from it is shifted by them.

Worked example: bounds at (3072, 1536). The patch at level-0 (3584, 2048) is at (512, 512) in QuPath.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

_KEYS = tuple(f"openslide.bounds-{name}" for name in ("x", "y", "width", "height"))

BAG_ATTRIBUTES = ("bounds_x", "bounds_y", "bounds_width", "bounds_height")
"""Root attributes of our bags with the same numbers."""


class Bounds(NamedTuple):
    """A box on level 0, level-0 pixels."""

    x: int
    y: int
    w: int
    h: int

    @property
    def origin_xy(self) -> tuple[int, int]:
        """Its top-left corner."""
        return self.x, self.y


def bounds(properties: Mapping[str, str]) -> Bounds | None:
    """Return the scanned part of a slide, from its properties; None where the whole slide is meant.

    QuPath asks for all four numbers too, and shows the whole slide where one is missing.
    """
    try:
        x, y, w, h = (int(properties[key]) for key in _KEYS)
    except (KeyError, ValueError):
        return None
    return Bounds(x, y, w, h) if x >= 0 and y >= 0 and w > 0 and h > 0 else None


def origin_xy(properties: Mapping[str, str]) -> tuple[int, int]:
    """Return where QuPath counts from, (x, y) in level-0 pixels; (0, 0) for a slide without bounds."""
    found = bounds(properties)
    return (0, 0) if found is None else found.origin_xy
