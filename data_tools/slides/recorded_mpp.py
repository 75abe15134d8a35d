"""Recorded resolutions: every place of a slide file that states microns per pixel at level 0.

A file that was converted, cropped or rescaled often keeps an old statement beside the new one, so all of them are
collected, the most specific first. Screen and printer resolutions (72, 96 or 300 dpi) are no statements.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from PIL import Image

from pathplugins.data.images import DAMAGE

from .slide import Slide

PLAUSIBLE_MPP = (0.05, 10.0)  #: outside it a resolution is a printer's (72 or 96 dpi), not a microscope's
MICRONS_PER_INCH = 25400.0
MICRONS_PER_UNIT = {"inch": MICRONS_PER_INCH, "centimeter": 10000.0}
OME_UNITS = {"µm": 1.0, "μm": 1.0, "um": 1.0, "nm": 1e-3, "mm": 1e3, "cm": 1e4, "m": 1e6}
"""Unit of OME-XML -> microns; µ has two code points."""
IMAGEJ_MICRONS = ("um", "µm", "μm", "\\u00b5m", "micron", "microns")
SAME = 1.001  #: statements closer than this factor are one, rounded
_IMAGE_DESCRIPTION = 270  #: TIFF tag
_PIXELS = re.compile(r"<(?:\w+:)?Pixels\b[^>]*>")
_ATTRIBUTE = re.compile(r"""(\w+)\s*=\s*["']([^"']*)["']""")


class Stated(NamedTuple):
    """One statement."""

    across: float
    """Microns per pixel."""
    down: float
    source: str

    @property
    def mpp(self) -> float:
        """The mean of both directions."""
        return (self.across + self.down) / 2

    def __str__(self) -> str:
        return f"{self.mpp:g} um/px ({self.source})"


def stated_mpp(slide: Slide) -> list[Stated]:
    """Return all plausible statements of a slide, the most specific first; the same number is listed once."""
    low, high = PLAUSIBLE_MPP
    found: list[Stated] = []
    for across, down, source in _statements(slide):
        if not across:
            continue
        stated = Stated(across, down or across, source)
        new = all(max(stated.mpp / other.mpp, other.mpp / stated.mpp) > SAME for other in found)
        if low <= min(stated[:2]) and max(stated[:2]) <= high and new:
            found.append(stated)
    return found


def positive_number(text: str) -> float | None:
    """Return a positive finite number, else None; scanners also write 0, empty strings and decimal commas."""
    try:
        value = float(text.replace(",", "."))
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0 else None


def _statements(slide: Slide) -> Iterator[tuple[float | None, float | None, str]]:
    """Yield (across, down, source) of every place; None where a place says nothing."""
    properties = slide.properties

    def number(key: str) -> float | None:
        return positive_number(properties.get(key, ""))

    by_scanner = number("openslide.mpp-x"), number("openslide.mpp-y"), "openslide.mpp-x"
    from_tags = properties.get("openslide.vendor") == "generic-tiff"  # OpenSlide has them from the TIFF tags then
    if not from_tags:
        yield by_scanner
    yield number("aperio.MPP"), None, "aperio.MPP"
    description = properties.get("tiff.ImageDescription") or _description(slide)
    yield *_of_ome(description, slide.size_px0), "OME-XML"
    per_unit = number("tiff.XResolution"), number("tiff.YResolution")
    if _is_imagej_in_microns(description):
        yield *(1 / dots if dots else None for dots in per_unit), "ImageJ"
    if from_tags:
        yield by_scanner
    unit = MICRONS_PER_UNIT.get(properties.get("tiff.ResolutionUnit", ""))
    yield *(unit / dots if unit and dots else None for dots in per_unit), "tiff.XResolution"
    yield MICRONS_PER_INCH / slide.image_dpi if slide.image_dpi else None, None, "image dpi"


def _description(slide: Slide) -> str:
    """Return the description of a TIFF that is read as a plain image; empty for anything else."""
    if slide.properties or slide.path.suffix.lower() not in (".tif", ".tiff"):
        return ""
    try:
        with Image.open(slide.path) as image:
            text = str(getattr(image, "tag_v2", {}).get(_IMAGE_DESCRIPTION, ""))
    except (*DAMAGE, Image.DecompressionBombError):
        return ""
    return text.encode("latin-1", "replace").decode(errors="replace")  # Pillow takes UTF-8 for Latin-1


def _of_ome(description: str, size_px0: tuple[int, int]) -> tuple[float | None, float | None]:
    """Return (across, down) of the image of this size in OME-XML, or of the first one; None without."""
    images = [dict(_ATTRIBUTE.findall(tag)) for tag in _PIXELS.findall(description)]
    if not images:
        return None, None
    size = [str(side) for side in size_px0]
    pixels = next((image for image in images if [image.get("SizeX"), image.get("SizeY")] == size), images[0])
    return _ome_size(pixels, "X"), _ome_size(pixels, "Y")


def _ome_size(pixels: Mapping[str, str], axis: str) -> float | None:
    value = positive_number(pixels.get(f"PhysicalSize{axis}", ""))
    unit = OME_UNITS.get(pixels.get(f"PhysicalSize{axis}Unit", "um").replace("&#181;", "µ"))
    return value * unit if value and unit else None


def _is_imagej_in_microns(description: str) -> bool:
    lines = [line.strip().lower() for line in description.splitlines()]
    return bool(lines) and lines[0].startswith("imagej=") and any(f"unit={unit}" in lines for unit in IMAGEJ_MICRONS)
