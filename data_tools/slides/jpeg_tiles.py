"""Read tiled JPEG slides without OpenSlide: each tile is decoded once, and pixels are bit for bit those of OpenSlide.

OpenSlide hands every JPEG tile to libjpeg-turbo with the colour space that the TIFF directory states, and puts tiles
side by side. This module does the same, for the two vendors and the one kind of directory that need nothing else.
Sizes are (w, h), positions (x, y), arrays ``[H, W, C]``; ``_px0`` is level-0 pixels, ``_px`` pixels of the level read.
"""

from __future__ import annotations

import math
import os
import struct
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pathplugins.core.optional import need

from .jpeg_frame import TileDecoder
from .tile_cache import Tile, TileCache, cache_bytes

VENDORS = ("aperio", "generic-tiff")  #: whose levels OpenSlide reads tile by tile, with no offsets or bounds
JPEG, INTERLEAVED, REDUCED = 7, 1, 1  #: TIFF compression, planar configuration, bit of the subfile type
COLOUR_SPACES = {2: "RGB", 6: "YCBCR"}  #: TIFF photometric -> colours in the JPEG, whatever the JPEG itself states
END_OF_JPEG = b"\xff\xd9"


class OpenSlideNeededError(Exception):
    """A slide, or a box of it, that only OpenSlide can read; the message is a clause that says why."""


@dataclass(frozen=True, kw_only=True)
class Level:
    """One level of the pyramid, as its TIFF directory describes it."""

    size_px: tuple[int, int]
    tile_px: tuple[int, int]
    downsample: float
    offsets: np.ndarray
    """int64 ``[tiles]``, row by row."""
    counts: np.ndarray
    """int64 ``[tiles]`` bytes; 0 for a tile that the scanner left out."""
    tables: bytes | None
    """Quantisation and Huffman tables that the tiles share."""
    colour_space: str
    unsure: str | None = None
    """Why OpenSlide may not show this level's own tiles."""

    @property
    def tiles_across(self) -> int:
        """Tiles in a row."""
        return -(-self.size_px[0] // self.tile_px[0])


class JpegTiles:
    """The tiles of a slide; safe to read from several threads."""

    def __init__(self, path: Path, handle: Any) -> None:
        """Read the TIFF directories of a slide.

        Args:
            path: The slide.
            handle: The OpenSlide handle that opened it.

        Raises:
            OpenSlideNeededError: it is not a kind of slide for which equal pixels are proven.
        """
        self._path = path
        self._levels = _levels(path, handle)
        packages = need("imagecodecs"), need("simplejpeg")
        self._decoders = [TileDecoder(*packages, tables=a.tables, colour_space=a.colour_space) for a in self._levels]
        row_bytes = max(level.tiles_across * math.prod(level.tile_px) * 3 for level in self._levels)
        self._cache = TileCache(cache_bytes(row_bytes))
        self._file = os.open(path, os.O_RDONLY)

    def region(self, number: int, x_px0: int, y_px0: int, size_px: tuple[int, int]) -> np.ndarray:
        """Read the box of level ``number`` whose corner is at a level-0 position; white beyond the level.

        Returns:
            uint8 ``[H, W, 3]``, the caller's own.

        Raises:
            OpenSlideNeededError: OpenSlide has to read this box.
        """
        level = self._levels[number]
        left, top = _corner(level, x_px0, y_px0)
        (w, h), (tile_w, tile_h) = size_px, level.tile_px
        right, bottom = min(left + w, level.size_px[0]), min(top + h, level.size_px[1])
        inside = right == left + w and bottom == top + h
        out = np.empty((h, w, 3), np.uint8) if inside else np.full((h, w, 3), 255, np.uint8)
        if right <= left or bottom <= top:
            return out
        for row in range(top // tile_h, -(-bottom // tile_h)):
            y0, y1 = max(top, row * tile_h), min(bottom, (row + 1) * tile_h)  # rows of the level in this tile
            for column in range(left // tile_w, -(-right // tile_w)):
                x0, x1 = max(left, column * tile_w), min(right, (column + 1) * tile_w)
                tile = self._tile(number, column, row)  # [tile_h, tile_w, 3]
                part = tile[y0 - row * tile_h : y1 - row * tile_h, x0 - column * tile_w : x1 - column * tile_w]
                out[y0 - top : y1 - top, x0 - left : x1 - left] = part
        return out

    def close(self) -> None:
        """Close the file."""
        file, self._file = self._file, -1  # no later read can reach a file that got the same number
        if file >= 0:
            os.close(file)

    def _tile(self, number: int, column: int, row: int) -> np.ndarray:
        """Return one tile, uint8 ``[tile_h, tile_w, 3]``; it is shared, so it must not be written to."""
        level = self._levels[number]
        index = row * level.tiles_across + column
        tile = self._cache.get((number, index), partial(self._make, level, self._decoders[number], index))
        if isinstance(tile, str):
            raise OpenSlideNeededError(f"tile {column}, {row} of level {number} {tile}")
        return tile

    def _make(self, level: Level, decoder: TileDecoder, index: int) -> Tile:
        """Decode a tile, or return why it cannot be used: libjpeg would silently invent pixels that are missing."""
        count = int(level.counts[index])
        if count == 0:
            return "is left out"
        try:
            data = os.pread(self._file, count, int(level.offsets[index]))
        except OSError as error:  # without the name of the file
            raise OSError(error.errno, error.strerror, str(self._path)) from error
        if len(data) < count or not (data.endswith(END_OF_JPEG) or data.rstrip(b"\0").endswith(END_OF_JPEG)):
            return "ends early"
        tile = decoder.decode(data)
        if isinstance(tile, str):
            return tile
        if tile.shape != (level.tile_px[1], level.tile_px[0], 3):
            return f"holds {tile.shape} instead of {(level.tile_px[1], level.tile_px[0], 3)}"
        tile.setflags(write=False)
        return tile


def _corner(level: Level, x_px0: int, y_px0: int) -> tuple[int, int]:
    """Return (left, top) in pixels of the level; positions between pixels are left to OpenSlide, which interpolates."""
    if level.unsure:
        raise OpenSlideNeededError(level.unsure)
    left, top = x_px0 / level.downsample, y_px0 / level.downsample
    if left < 0 or top < 0 or not (left.is_integer() and top.is_integer()):
        raise OpenSlideNeededError("starts between pixels of its level, or outside")
    return int(left), int(top)


def _levels(path: Path, handle: Any) -> list[Level]:
    """Read the levels of a slide, in OpenSlide's order."""
    vendor = handle.properties.get("openslide.vendor")
    if vendor is None:
        raise OpenSlideNeededError("a plain image is decoded whole")
    if vendor not in VENDORS:
        raise OpenSlideNeededError(f"{vendor} slides are put together by OpenSlide")
    if not hasattr(os, "pread"):
        raise OpenSlideNeededError("this system cannot read a file from several threads")
    tifffile = need("tifffile")
    try:
        with tifffile.TiffFile(path) as tiff:
            pages = _pages(tiff, vendor)
            found = [(page.imagewidth, page.imagelength) for page in pages]
            if found != list(handle.level_dimensions) or len(set(found)) < len(found):
                raise OpenSlideNeededError(f"its directories, {found}, are not the levels OpenSlide found")
            levels = [_level(page, float(d)) for page, d in zip(pages, handle.level_downsamples, strict=True)]
    except (tifffile.TiffFileError, struct.error, ValueError, LookupError) as error:
        raise OpenSlideNeededError(f"tifffile cannot read its directories ({error})") from error
    first_gap = next((i for i, level in enumerate(levels) if not level.counts.all()), len(levels))
    gap = f"is below level {first_gap}, which has gaps"  # OpenSlide fills those of Aperio from the level above
    return [level if i <= first_gap else replace(level, unsure=gap) for i, level in enumerate(levels)]


def _pages(tiff: Any, vendor: str) -> list[Any]:
    """Return the directories that are levels: those that OpenSlide's reader of that vendor takes, in its order."""
    tiled = [page for page in tiff.pages if page.is_tiled]
    if vendor == "aperio":
        return tiled
    levels = [page for page in tiled if page.index == 0 or int(page.subfiletype) & REDUCED]
    return sorted(levels, key=lambda page: -page.imagewidth)


def _level(page: Any, downsample: float) -> Level:
    """Read a directory: where the tiles of a level lie, and how they are compressed."""
    photometric = int(page.photometric)
    expected = (
        (int(page.compression) == JPEG, f"is compressed as {_name(page.compression)}, not JPEG"),
        (photometric in COLOUR_SPACES, f"has colours given as {_name(page.photometric)}"),
        ((page.bitspersample, page.samplesperpixel) == (8, 3), "is not three times 8 bits"),
        (int(page.planarconfig) == INTERLEAVED, "has its colours in separate planes"),
        (page.imagedepth == 1 and page.tiledepth == 1, "has depth"),
        (int(page.fillorder) == 1, "has its bits in reverse"),
    )
    odd = next((clause for fits, clause in expected if not fits), None)
    if odd:
        raise OpenSlideNeededError(f"directory {page.index} {odd}")
    level = Level(
        size_px=(page.imagewidth, page.imagelength),
        tile_px=(page.tilewidth, page.tilelength),
        downsample=downsample,
        offsets=np.asarray(page.dataoffsets, np.int64),
        counts=np.asarray(page.databytecounts, np.int64),
        tables=page.jpegtables,
        colour_space=COLOUR_SPACES[photometric],
    )
    tiles = level.tiles_across * -(-level.size_px[1] // level.tile_px[1])
    if not len(level.offsets) == len(level.counts) == tiles:
        raise OpenSlideNeededError(f"directory {page.index} lists {len(level.offsets)} tiles instead of {tiles}")
    return level


def _name(value: Any) -> str:
    """Return tifffile's name for the value of a tag; the number of a value that it does not know."""
    return getattr(value, "name", str(value))
