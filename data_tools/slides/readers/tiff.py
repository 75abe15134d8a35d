"""Read TIFF slides with tifffile: what OpenSlide cannot decode, and OME-TIFF with its channels, depths and pyramids.

Arrays are ``[H, W, C]``, sizes (w, h).
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np

from pathplugins.core.optional import need

from ..errors import SlideError
from .channels import CHANNELS_NOTE
from .samples import Samples
from .tiff_pages import Pyramid, find_pyramid
from .tiled import TiledHandle, TiledLevel

WHITE_IS_0 = 0  #: TIFF photometric
TAGS = ("ImageDescription", "Software", "Make", "Model", "DateTime")
UNITS = {1: "none", 2: "inch", 3: "centimeter"}


def open_tiff(path: Path) -> TiledHandle:
    """Open a TIFF slide.

    Raises:
        SlideError: it cannot be read as colours, or not in parts.
        MissingDependencyError: tifffile or imagecodecs is not installed.
    """
    tifffile, _ = need("tifffile"), need("imagecodecs")
    try:
        tiff = tifffile.TiffFile(path)
    except (tifffile.TiffFileError, ValueError, OSError) as error:
        raise SlideError(f"{path}: tifffile cannot read its directories ({error}); copy it again") from error
    try:
        return _opened(path, tiff)
    except BaseException:
        tiff.close()
        raise


def _opened(path: Path, tiff: Any) -> TiledHandle:
    """Return the handle of an open file."""
    try:
        pyramid = find_pyramid(path, tiff)
    except (need("tifffile").TiffFileError, LookupError, ValueError, TypeError) as error:
        raise SlideError(f"{path}: tifffile cannot make out its images ({error}); copy it again") from error
    tiles = _Tiles(path, tiff, pyramid)
    levels = [
        TiledLevel(size_px=(page.imagewidth, page.imagelength), tile_px=_tile_px(page))
        for page in (planes[0] for planes in pyramid.levels)
    ]
    notes = (*pyramid.notes, *((CHANNELS_NOTE.format(path.name),) if len(pyramid.levels[0]) > 1 else ()))
    handle = TiledHandle(
        str(path), levels, tiles.decode, properties=_properties(tiff, pyramid), close=tiff.close, notes=notes
    )
    tiles.settle()
    return handle


class _Tiles:
    """Decodes the tiles of a pyramid, all channels of one together."""

    def __init__(self, path: Path, tiff: Any, pyramid: Pyramid) -> None:
        first = pyramid.levels[0][0]
        self._path, self._pyramid = path, pyramid
        self._file, self._lock = tiff.filehandle, threading.Lock()
        self._samples = Samples(str(path), np.dtype(first.dtype), recorded_bits=_recorded_bits(first, pyramid))
        self._order: tuple[int, ...] | None = None

    def settle(self) -> None:
        """Look at the smallest level where its pixels have to decide how the file is read."""
        number = len(self._pyramid.levels) - 1
        planes = self._pyramid.levels[number]
        if len(planes) > 1:
            self._order = self._pyramid.order(lambda: self._samples.to_8_bits(self._whole(number)))
        if self._samples.bits > 8:
            self._samples.check(self._whole(number))

    def decode(self, level: int, column: int, row: int) -> np.ndarray:
        """Decode a tile: uint8 ``[h, w, 3]``."""
        tile = self._samples.to_8_bits(self._stored(level, column, row))
        if int(self._pyramid.levels[level][0].photometric) == WHITE_IS_0:
            tile = 255 - tile
        tile = np.repeat(tile, 3, axis=2) if tile.shape[2] == 1 else tile[..., list(self._order or (0, 1, 2))]
        tile = np.ascontiguousarray(tile)
        tile.setflags(write=False)
        return tile

    def _whole(self, level: int) -> np.ndarray:
        """Read a sample of a level's tiles, at most 64 of them: ``[H, W, C]`` as stored, side by side."""
        page = self._pyramid.levels[level][0]
        (tile_w, tile_h), tiles = _tile_px(page), []
        across, down = -(-page.imagewidth // tile_w), -(-page.imagelength // tile_h)
        for index in np.unique(np.linspace(0, across * down - 1, 64).astype(int)):
            row, column = divmod(int(index), across)
            tile = self._stored(level, column, row)
            tiles.append(
                tile[: page.imagelength - row * tile_h, : page.imagewidth - column * tile_w].reshape(
                    1, -1, tile.shape[2]
                )
            )
        return np.concatenate(tiles, axis=1)

    def _stored(self, level: int, column: int, row: int) -> np.ndarray:
        """Decode a tile of every channel: ``[h, w, C]`` with the samples as stored."""
        planes = []
        for page in self._pyramid.levels[level]:
            w, h = _tile_px(page)
            across, down = -(-page.imagewidth // w), -(-page.imagelength // h)
            separate = int(page.planarconfig) == 2 and page.samplesperpixel > 1
            for plane in range(min(page.samplesperpixel, 3) if separate else 1):
                planes.append(self._segment(page, plane * across * down + row * across + column))  # [h, w, c]
        tile = planes[0] if len(planes) == 1 else np.concatenate(planes, axis=2)
        return tile[..., :3] if tile.shape[2] > 3 else tile[..., :1] if tile.shape[2] == 2 else tile

    def _segment(self, page: Any, index: int) -> np.ndarray:
        """Read and decode one tile or strip of a page: ``[h, w, c]``."""
        offset, count = page.dataoffsets[index], page.databytecounts[index]
        w, h = _tile_px(page)
        contig = 1 if int(page.planarconfig) == 2 else page.samplesperpixel
        if count == 0:
            return np.full((h, w, contig), 0 if int(page.photometric) == WHITE_IS_0 else self._samples.top, page.dtype)
        with self._lock:
            self._file.seek(offset)
            data = self._file.read(count)
        try:
            if len(data) < count:
                raise ValueError(f"{len(data)} of {count} bytes are there")
            decoded = page.decode(data, index, jpegtables=page.jpegtables, jpegheader=page.jpegheader)[0]
            if decoded is None or decoded.ndim != 4 or decoded.shape[3] != contig:
                raise ValueError(f"decodes to shape {None if decoded is None else decoded.shape}")
        except (RuntimeError, ValueError, LookupError, TypeError) as error:
            raise SlideError(
                f"{self._path}: tile {index} of its directory {page.index} does not decode ({error}); the file is "
                "damaged: copy it again, or leave it out"
            ) from error
        return decoded[0]


def _tile_px(page: Any) -> tuple[int, int]:
    """Return (w, h) of the tiles of a page, or of its strips."""
    if page.is_tiled:
        return page.tilewidth, page.tilelength
    return page.imagewidth, min(page.rowsperstrip or page.imagelength, page.imagelength)


def _recorded_bits(page: Any, pyramid: Pyramid) -> int | None:
    """Return the bits in use that the file records: in OME-XML, by its largest value, or by odd sizes of samples."""
    if pyramid.significant_bits:
        return pyramid.significant_bits
    largest = page.tags.get("MaxSampleValue")
    if largest is not None:
        value = int(np.max(largest.value))
        if value > 0 and (value + 1) & value == 0:
            return value.bit_length()
    bits = int(np.max(page.bitspersample))
    return bits if 8 < bits < 16 else None


def _properties(tiff: Any, pyramid: Pyramid) -> dict[str, str]:
    """Return the properties under the names that OpenSlide gives them."""
    page = pyramid.levels[0][0]
    first = tiff.pages[0]
    found = {"openslide.vendor": "generic-tiff"}
    if pyramid.mpp is not None:
        found |= {f"openslide.mpp-{axis}": f"{mpp:.10g}" for axis, mpp in zip("xy", pyramid.mpp, strict=True)}
    for name in TAGS:
        tag = page.tags.get(name) or first.tags.get(name)
        if tag is not None and isinstance(tag.value, str):
            found[f"tiff.{name}"] = tag.value
    for name in ("XResolution", "YResolution"):
        tag = page.tags.get(name)
        if tag is not None and tag.value[1]:
            found[f"tiff.{name}"] = f"{tag.value[0] / tag.value[1]:.17g}"
    unit = page.tags.get("ResolutionUnit")
    found["tiff.ResolutionUnit"] = UNITS.get(int(unit.value) if unit is not None else 2, "none")
    description = found.get("tiff.ImageDescription", "")
    if description:
        found["openslide.comment"] = description
    if description.startswith("Aperio"):
        fields = (field.partition("=") for field in description.split("|")[1:])
        found |= {f"aperio.{name.strip()}": value.strip() for name, equals, value in fields if equals}
    return found
