"""Resolution of a slide: microns per pixel at level 0, where the number came from, and what contradicts it."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.suffixes import SLIDE_SUFFIXES
from pathplugins.core.units import Mpp

from .slide import Slide, SlideError

MICRONS_PER_PIXEL_AT_1X = 10.0  #: 20x is about 0.5 um/px, 40x about 0.25 um/px on every common scanner
CONTRADICTION = 1.5  #: objective power and mpp further apart than this factor cannot both be right
ANISOTROPY = 1.02  #: mpp across and down further apart than this factor are worth a note
SLIDE_COLUMNS = ("slide", "slide_id", "wsi", "filename")
MOST_SHOWN = 20  #: bad rows listed one by one
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
    """Contradictions the user should know of."""


def resolve(slide: Slide, *, fallback_mpp: float | None = None, override_mpp: float | None = None) -> Resolution:
    """``override_mpp``, else the resolution a slide records, else ``fallback_mpp``.

    Raises:
        SlideError: no resolution anywhere.
    """
    power = _number(slide.properties, "openslide.objective-power") or _number(slide.properties, "aperio.AppMag")
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


def read_mpp_table(path: Path) -> dict[str, float]:
    """Microns per pixel by slide id, from a CSV file with a column of slides and one called ``mpp``.

    The column of slides is called ``slide``, ``slide_id``, ``wsi`` or ``filename`` and holds ids, names or paths.

    Raises:
        PathPluginsError: no such file or column; or all the rows that are wrong, together.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file, skipinitialspace=True)
            columns = [column.strip().lower() for column in rows.fieldnames or ()]
            rows.fieldnames = columns
            slides = next((column for column in SLIDE_COLUMNS if column in columns), None)
            if slides is None or "mpp" not in columns:
                raise PathPluginsError(
                    f"{path}: wanted a column mpp and one of {', '.join(SLIDE_COLUMNS)}; its first row says "
                    f"{', '.join(columns) or 'nothing'}"
                )
            return _table(path, [(rows.line_num, row[slides], row["mpp"]) for row in rows])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PathPluginsError(f"{path}: cannot be read as a CSV file in UTF-8 ({error})") from error


def _table(path: Path, rows: list[tuple[int, str | None, str | None]]) -> dict[str, float]:
    """The (line, slide, mpp) rows of ``path`` as a dictionary; a slide may come twice with the same value."""
    table: dict[str, float] = {}
    wrong = []
    low, high = PLAUSIBLE_MPP
    for line, slide, written in rows:
        name = Path((slide or "").strip())
        slide_id = name.stem if name.suffix.lower() in SLIDE_SUFFIXES else name.name  # ids have dots too
        mpp = _number({"mpp": written or ""}, "mpp")
        if not slide_id:
            wrong.append(f"line {line}: names no slide")
        elif mpp is None or not low <= mpp <= high:
            wrong.append(f"line {line}: mpp of {slide_id} is {written!r}, not microns per pixel ({low:g} to {high:g})")
        elif table.setdefault(slide_id, mpp) != mpp:
            wrong.append(f"line {line}: {slide_id} is {mpp:g} here and {table[slide_id]:g} above")
    if wrong:
        rest = [f"and {len(wrong) - MOST_SHOWN} more"] if len(wrong) > MOST_SHOWN else []
        listed = "\n  ".join(wrong[:MOST_SHOWN] + rest)
        raise PathPluginsError(f"{path}: {len(wrong)} of {len(rows)} rows cannot be used; correct them:\n  {listed}")
    return table


def _recorded(slide: Slide) -> tuple[float, float, str] | None:
    """(mpp across, mpp down, source) from the file itself, the most specific statement first."""
    properties = slide.properties
    unit = MICRONS_PER_UNIT.get(properties.get("tiff.ResolutionUnit", ""))
    per_unit = _number(properties, "tiff.XResolution"), _number(properties, "tiff.YResolution")
    aperio = _number(properties, "aperio.MPP")
    by_dpi = MICRONS_PER_UNIT["inch"] / slide.image_dpi if slide.image_dpi else None
    candidates = (
        (_number(properties, "openslide.mpp-x"), _number(properties, "openslide.mpp-y"), "openslide.mpp-x"),
        (aperio, aperio, "aperio.MPP"),
        (*(unit / dots if unit and dots else None for dots in per_unit), "tiff.XResolution"),
        (by_dpi, by_dpi, "image dpi"),
    )
    low, high = PLAUSIBLE_MPP
    found = ((x, y or x, source) for x, y, source in candidates if x)
    return next(((x, y, source) for x, y, source in found if low <= min(x, y) and max(x, y) <= high), None)


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
