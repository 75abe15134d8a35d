"""Find the pyramid of a TIFF slide: which of its directories are levels, and which are channels of one level."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import SlideError
from .channels import colour_order
from .ome import NOT_DESCRIBED, ome_images

REDUCED = 1  #: bit of the subfile type
COLOURS = {0: "grey, white at 0", 1: "grey", 2: "RGB", 6: "YCbCr"}  #: TIFF photometric -> colours that are read
YCBCR, JPEG = 6, 7
DECODED_TO_RGB = (JPEG, 6, 50001, 50002)  #: compressions whose decoders turn YCbCr into RGB


@dataclass(frozen=True, kw_only=True)
class Pyramid:
    """The levels of a slide."""

    levels: list[list[Any]]
    """tifffile's pages, sharpest level first; several pages of a level are its channels."""
    order: Callable[[Callable[[], np.ndarray]], tuple[int, int, int]]
    """Tells which of several channels are red, green and blue, given a function that reads the smallest level."""
    significant_bits: int | None = None
    mpp: tuple[float, float] | None = None
    """Microns per pixel across and down, where OME-XML gives them."""
    notes: tuple[str, ...] = ()


def needs_tifffile(tiff: Any) -> bool:
    """Return whether OpenSlide would misread a TIFF that it takes for a generic one.

    It reads the first directory and the reduced ones after it, as 8 bits: not channels, other depths, pyramids in
    sub-directories, or the scan after a label.
    """
    first = tiff.pages[0]
    if np.max(first.bitspersample) != 8 or int(np.max(first.sampleformat or 1)) != 1 or first.subifds:
        return True
    if tiff.is_ome:  # other images, focal planes, channels
        return len(tiff.series) > 1 or len(tiff.series[0].pages) > 1
    return len(_grey_stack(tiff)) > 1


def find_pyramid(path: Path, tiff: Any) -> Pyramid:
    """Return the pyramid of an open TIFF.

    Raises:
        SlideError: it holds time points, parts in other files, or colours that are not read.
    """
    pyramid = _of_ome(path, tiff) if tiff.is_ome else _of_directories(path, tiff)
    for page in (page for planes in pyramid.levels for page in planes):
        photometric, compression = int(page.photometric), int(page.compression)
        if photometric not in COLOURS or (photometric == YCBCR and compression not in DECODED_TO_RGB):
            raise SlideError(
                f"{path}: its colours are {_name(page.photometric)} compressed as {_name(page.compression)}; wanted "
                f"{', '.join(COLOURS.values())}: save it as 8-bit RGB"
            )
    return pyramid


def _of_directories(path: Path, tiff: Any) -> Pyramid:
    """Return the levels of a TIFF whose directories are not described: as OpenSlide takes them, and sub-directories."""
    first = tiff.pages[0]
    channels = _grey_stack(tiff)
    if len(channels) > 1:
        below = list(zip(*(page.pages or [] for page in channels), strict=True)) if first.subifds else []
        levels = [channels, *map(list, below)]
        return Pyramid(levels=levels, order=partial(colour_order, str(path), [""] * len(channels)))
    levels = [page for page in tiff.pages if page.index == 0 or int(page.subfiletype) & REDUCED]
    levels += list(first.pages or []) if first.subifds else []
    tiled = [page for page in levels if page.is_tiled == first.is_tiled and page.dtype == first.dtype]
    tiled.sort(key=lambda page: -page.imagewidth)
    return Pyramid(levels=[[page] for page in tiled], order=partial(colour_order, str(path), [""]))


def _grey_stack(tiff: Any) -> list[Any]:
    """Return the directories of one sample a pixel that are as large as the first: channels, or that one alone."""
    first = tiff.pages[0]
    if first.samplesperpixel > 1:
        return [first]
    same = (first.imagewidth, first.imagelength, first.dtype)
    stack = [
        page
        for page in tiff.pages
        if page.samplesperpixel == 1
        and (page.imagewidth, page.imagelength, page.dtype) == same
        and not int(page.subfiletype) & REDUCED
    ]
    return stack or [first]


def _of_ome(path: Path, tiff: Any) -> Pyramid:
    """Return the largest image of an OME-TIFF."""
    images = ome_images(tiff.ome_metadata or "")
    number, series = max(enumerate(tiff.series), key=lambda found: _area(found[1]))
    described = images[number] if number < len(images) else NOT_DESCRIBED
    notes: tuple[str, ...] = ()
    if len(tiff.series) > 1:
        notes = (
            f"{path.name} holds {len(tiff.series)} images; read is the largest, {described.name or number!r}, the "
            "others (label, macro or further scans) are left out",
        )
    planes, middle = _planes(path, series)
    if middle:
        notes += (f"{path.name} {middle}",)
    levels = []
    for level in series.levels:
        pages = list(level.pages)
        if any(page is None for page in pages):
            raise SlideError(f"{path}: parts of the image are in other files that are missing; copy them beside it")
        levels.append([getattr(pages[i], "aspage", lambda page=pages[i]: page)() for i in planes])
    names = described.channels if len(described.channels) == len(planes) else ("",) * len(planes)
    return Pyramid(
        levels=levels,
        order=partial(colour_order, str(path), names),
        significant_bits=described.significant_bits,
        mpp=described.mpp,
        notes=notes,
    )


def _area(series: Any) -> int:
    """Return the number of pixels of a plane of a series."""
    sides = dict(zip(series.axes, series.shape, strict=True))
    return sides.get("Y", 0) * sides.get("X", 0)


def _planes(path: Path, series: Any) -> tuple[list[int], str]:
    """Return which pages of a series are the channels to read, and a clause on the planes left out, or none."""
    axes = [(axis, size) for axis, size in zip(series.axes, series.shape, strict=True) if axis not in "YXS"]
    numbers = np.arange(int(np.prod([size for _, size in axes], initial=1))).reshape([size for _, size in axes])
    clause = ""
    for axis, size in reversed(axes):
        place = [name for name, _ in axes].index(axis)
        if axis == "C" or size == 1:
            continue
        if axis != "Z":
            raise SlideError(f"{path}: has {size} planes along the axis {axis}; save the one to read as a file")
        numbers = numbers.take([size // 2], axis=place)
        clause = f"has {size} focal planes; read is number {size // 2 + 1}"
    return [int(number) for number in numbers.ravel()], clause


def _name(value: Any) -> str:
    """Return tifffile's name for the value of a tag; the number of a value that it does not know."""
    return getattr(value, "name", str(value))
