"""Resolution of a slide: its microns per pixel at level 0, the source of that number, and what contradicts it."""

from __future__ import annotations

from dataclasses import dataclass

from pathplugins.core.units import Mpp

from .recorded_mpp import Stated, positive_number, stated_mpp
from .slide import Slide, SlideError

MICRONS_PER_PIXEL_AT_1X = 10.0  #: 20x is about 0.5 um/px, 40x about 0.25 um/px on every common scanner
CONTRADICTION = 1.5  #: objective power and mpp further apart than this factor cannot both be right
NOTED, REFUSED = 1.02, 1.1  #: statements of mpp further apart than these factors are noted, or refused
ANISOTROPY, MOST_ANISOTROPY = 1.02, 1.25  #: the same for mpp across and down
GIVEN_FOR_ALL = "--slide-mpp"  #: the source of a resolution that was given for the slides that record none, or two
GIVEN = 1.05  #: a resolution given for all slides this close to one of two statements decides between them


class ContradictionError(SlideError):
    """A slide that states two resolutions, or pixels far from square."""


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

    Where a slide records two, ``fallback_mpp`` decides if it is one of them.

    Raises:
        ContradictionError: two that are more than a tenth apart, or pixels far from square.
        SlideError: no resolution anywhere.
    """
    recorded_power = (slide.properties.get(key, "") for key in ("openslide.objective-power", "aperio.AppMag"))
    power = next(filter(None, map(positive_number, recorded_power)), None)
    notes: list[str] = []
    if override_mpp is not None:
        mpp, source = float(override_mpp), "given for the slide"
    elif stated := stated_mpp(slide):
        mpp, source = _chosen(slide, stated, fallback_mpp, notes)
    elif fallback_mpp is not None:
        mpp, source = float(fallback_mpp), GIVEN_FOR_ALL
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


def _chosen(slide: Slide, stated: list[Stated], fallback_mpp: float | None, notes: list[str]) -> tuple[float, str]:
    """Return the mpp to go by and its source; adds to ``notes`` what speaks against it."""
    first, all_of_them = stated[0], " and ".join(map(str, stated))
    apart = _factor(max(one.mpp for one in stated), min(one.mpp for one in stated))
    source = first.source
    if apart > REFUSED:
        near = [one for one in stated if fallback_mpp and _factor(one.mpp, fallback_mpp) <= GIVEN]
        if not near:
            raise ContradictionError(
                f"{slide.path}: records {all_of_them}, which cannot both be right; pass the right one as --slide-mpp, "
                "or in a table of slides (--mpp-csv)"
            )
        first, source = near[0], GIVEN_FOR_ALL
    if apart > NOTED:
        notes.append(f"{slide.path.name} records {all_of_them}; going by {first.mpp:g} um/px")
    if _factor(first.across, first.down) > MOST_ANISOTROPY:
        raise ContradictionError(
            f"{slide.path}: its pixels are {first.across:g} um across and {first.down:g} down ({first.source}), far "
            "from square, and square patches would be stretched; if that is wrong, pass the right mpp in a table of "
            "slides (--mpp-csv)"
        )
    if _factor(first.across, first.down) > ANISOTROPY:
        notes.append(
            f"{slide.path.name} says {first.across:g} um/px across but {first.down:g} down ({first.source}): its "
            f"pixels are not square; going by their mean, {first.mpp:g} um/px"
        )
    return first.mpp, source


def _factor(one: float, other: float) -> float:
    return max(one / other, other / one)


def _missing(slide: Slide, power: float | None) -> str:
    """Return the message for a slide without a resolution."""
    if power is None:
        return f"{slide.path}: records no microns per pixel; pass --slide-mpp (0.25 is usual at 40x, 0.5 at 20x)"
    usual = MICRONS_PER_PIXEL_AT_1X / power
    return (
        f"{slide.path}: records no microns per pixel, only an objective of {power:g}x; "
        f"pass --slide-mpp (usually {usual:g} at {power:g}x)"
    )
