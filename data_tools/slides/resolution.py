"""Resolution of a slide: its microns per pixel at level 0, the source of that number, and what contradicts it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pathplugins.core.units import Mpp

from .slide import Slide, SlideError

MICRONS_PER_PIXEL_AT_1X = 10.0  #: 20x is about 0.5 um/px, 40x about 0.25 um/px on every common scanner
CONTRADICTION = 1.5  #: objective power and mpp further apart than this factor cannot both be right
ANISOTROPY = 1.02  #: mpp across and down further apart than this factor are worth a note
PLAUSIBLE_MPP = (0.05, 10.0)  #: outside it a resolution is a printer's (72 or 96 dpi), not a microscope's
MICRONS_PER_UNIT = {"inch": 25400.0, "centimeter": 10000.0}


@dataclass(frozen=True, kw_only=True)
class Resolution:
    """Resolution of level 0."""

    mpp: Mpp
    source: str
    """Where ``mpp`` was found: a slide property, ``image dpi``, ``given for the slide`` (a CSV) or ``--slide-mpp``."""
    magnification: float
    """The objective power, or what ``mpp`` amounts to where none is recorded or it contradicts ``mpp``."""
    note: str | None = None
    """Contradictions in the file that the user should know."""


def resolve(slide: Slide, *, fallback_mpp: float | None = None, override_mpp: float | None = None) -> Resolution:
    """Return ``override_mpp``, else the resolution that the slide records, else ``fallback_mpp``.

    Raises:
        SlideError: no resolution anywhere.
    """
    recorded_power = (slide.properties.get(key, "") for key in ("openslide.objective-power", "aperio.AppMag"))
    power = next(filter(None, map(positive_number, recorded_power)), None)
    notes = []
    if override_mpp is not None:
        mpp, source = float(override_mpp), "given for the slide"
    elif (recorded := _recorded(slide)) is not None:
        across, down, source = recorded
        mpp = (across + down) / 2
        if max(across / down, down / across) > ANISOTROPY:
            notes.append(
                f"{slide.path.name} says {across:g} um/px across but {down:g} down ({source}): its pixels are not "
                f"square; going by their mean, {mpp:g} um/px"
            )
    elif fallback_mpp is not None:
        mpp, source = float(fallback_mpp), "--slide-mpp"
    else:
        raise SlideError(_missing(slide, power))
    implied = MICRONS_PER_PIXEL_AT_1X / mpp
    magnification = power or round(implied, 2)
    if power and max(power / implied, implied / power) > CONTRADICTION:
        notes.append(
            f"{slide.path.name} says {power:g}x but {mpp:g} um/px ({source}), which is about {implied:.0f}x; "
            f"going by {mpp:g} um/px"
        )
        magnification = round(implied, 2)
    return Resolution(mpp=Mpp(mpp), source=source, magnification=magnification, note="; ".join(notes) or None)


def _recorded(slide: Slide) -> tuple[float, float, str] | None:
    """Return (mpp across, mpp down, source) from the file itself, the most specific statement first."""
    properties = slide.properties

    def number(key: str) -> float | None:
        return positive_number(properties.get(key, ""))

    unit = MICRONS_PER_UNIT.get(properties.get("tiff.ResolutionUnit", ""))
    per_unit = number("tiff.XResolution"), number("tiff.YResolution")
    aperio = number("aperio.MPP")
    by_dpi = MICRONS_PER_UNIT["inch"] / slide.image_dpi if slide.image_dpi else None
    candidates = (
        (number("openslide.mpp-x"), number("openslide.mpp-y"), "openslide.mpp-x"),
        (aperio, aperio, "aperio.MPP"),
        (*(unit / dots if unit and dots else None for dots in per_unit), "tiff.XResolution"),
        (by_dpi, by_dpi, "image dpi"),
    )
    low, high = PLAUSIBLE_MPP
    found = ((x, y or x, source) for x, y, source in candidates if x)
    return next(((x, y, source) for x, y, source in found if low <= min(x, y) and max(x, y) <= high), None)


def positive_number(text: str) -> float | None:
    """Return a positive finite number, else None; scanners also write 0, empty strings and decimal commas."""
    try:
        value = float(text.replace(",", "."))
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0 else None


def _missing(slide: Slide, power: float | None) -> str:
    """Return the message for a slide without a resolution."""
    if power is None:
        return f"{slide.path}: records no microns per pixel; pass --slide-mpp (0.25 is usual at 40x, 0.5 at 20x)"
    usual = MICRONS_PER_PIXEL_AT_1X / power
    return (
        f"{slide.path}: records no microns per pixel, only an objective of {power:g}x; "
        f"pass --slide-mpp (usually {usual:g} at {power:g}x)"
    )
