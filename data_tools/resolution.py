"""Resolution of a slide: microns per pixel at level 0, where the number came from, and what contradicts it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pathplugins.core.units import Mpp

from .slides import Slide, SlideError

MICRONS_PER_PIXEL_AT_1X = 10.0  #: 20x is about 0.5 um/px, 40x about 0.25 um/px on every common scanner
CONTRADICTION = 1.5  #: objective power and mpp further apart than this factor cannot both be right
PLAUSIBLE_MPP = (0.05, 10.0)  #: outside it a resolution is a printer's (72 or 96 dpi), not a microscope's
MICRONS_PER_UNIT = {"inch": 25400.0, "centimeter": 10000.0}


@dataclass(frozen=True, kw_only=True)
class Resolution:
    """Resolution of level 0."""

    mpp: Mpp
    source: str
    """Where ``mpp`` was found: a slide property, ``image dpi`` or ``--slide-mpp``."""
    magnification: float
    """The objective power, or what ``mpp`` amounts to where none is recorded or it contradicts ``mpp``."""
    note: str | None = None
    """A contradiction the user should know of."""


def resolve(slide: Slide, *, fallback_mpp: float | None = None) -> Resolution:
    """The resolution a slide records, or ``fallback_mpp`` for one that records none.

    Raises:
        SlideError: no resolution anywhere.
    """
    power = _number(slide.properties, "openslide.objective-power") or _number(slide.properties, "aperio.AppMag")
    recorded = _recorded(slide)
    if recorded is None and fallback_mpp is None:
        raise SlideError(_missing(slide, power))
    mpp, source = recorded or (float(fallback_mpp or 0), "--slide-mpp")
    implied = MICRONS_PER_PIXEL_AT_1X / mpp
    if power is None:
        return Resolution(mpp=Mpp(mpp), source=source, magnification=round(implied, 2))
    if max(power / implied, implied / power) <= CONTRADICTION:
        return Resolution(mpp=Mpp(mpp), source=source, magnification=power)
    note = (
        f"{slide.path.name} says {power:g}x but {mpp:g} um/px ({source}), which is about {implied:.0f}x; "
        f"going by {mpp:g} um/px"
    )
    return Resolution(mpp=Mpp(mpp), source=source, magnification=round(implied, 2), note=note)


def _recorded(slide: Slide) -> tuple[float, str] | None:
    """(mpp, source) from the file itself, the most specific statement first."""
    properties = slide.properties
    x, y = _number(properties, "openslide.mpp-x"), _number(properties, "openslide.mpp-y")
    unit = MICRONS_PER_UNIT.get(properties.get("tiff.ResolutionUnit", ""))
    per_unit = _number(properties, "tiff.XResolution")
    candidates = [
        ((x + y) / 2 if x and y else x, "openslide.mpp-x"),
        (_number(properties, "aperio.MPP"), "aperio.MPP"),
        (unit / per_unit if unit and per_unit else None, "tiff.XResolution"),
        (MICRONS_PER_UNIT["inch"] / slide.image_dpi if slide.image_dpi else None, "image dpi"),
    ]
    low, high = PLAUSIBLE_MPP
    return next(((mpp, source) for mpp, source in candidates if mpp and low <= mpp <= high), None)


def _number(properties: dict[str, str], key: str) -> float | None:
    """A positive finite property; scanners also write 0, empty strings and decimal commas."""
    try:
        value = float(properties.get(key, "").replace(",", "."))
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0 else None


def _missing(slide: Slide, power: float | None) -> str:
    """The message for a slide without a resolution."""
    if power is None:
        return f"{slide.path}: records no microns per pixel; pass --slide-mpp (0.25 is usual at 40x, 0.5 at 20x)"
    usual = MICRONS_PER_PIXEL_AT_1X / power
    return (
        f"{slide.path}: records no microns per pixel, only an objective of {power:g}x; "
        f"pass --slide-mpp (usually {usual:g} at {power:g}x)"
    )
