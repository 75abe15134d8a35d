"""Write Aperio slides: a pyramid of JPEG tiles in a classic little-endian TIFF.

Sizes are (w, h), arrays ``[H, W, C]``.
"""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from pathplugins.core.files import replacing

TILE_PX = 256
JPEG_QUALITY = 90
SHORT, LONG, ASCII = 3, 4, 2  #: TIFF field types
STRUCT = {SHORT: "H", LONG: "I", ASCII: "B"}
JPEG_IN_TIFF = 7  #: compression: every tile is a JPEG file of its own
YCBCR = 6  #: photometric interpretation

Tag = tuple[int, int, list[int]]  #: (tag, field type, values)


def write_svs(path: Path, levels: list[np.ndarray], *, mpp: float, magnification: float) -> None:
    """Write an SVS file that OpenSlide opens as vendor ``aperio``.

    Args:
        path: the file to write.
        levels: uint8 ``[H, W, 3]`` each, the sharpest first.
        mpp: microns per pixel of the first level.
        magnification: objective power to record.

    Raises:
        ValueError: more than the 4 GiB a classic TIFF can address.
    """
    with replacing(path) as temporary, temporary.open("wb") as file:
        file.write(struct.pack("<2sHI", b"II", 42, 0))
        link = 4  # where the offset of the next directory has to be written
        for level in levels:
            description = _description(levels[0], level, mpp=mpp, magnification=magnification)
            offsets, counts = _write_tiles(file, level)
            link = _write_directory(file, link, _tags(level, description, offsets, counts))


def _description(base: np.ndarray, level: np.ndarray, *, mpp: float, magnification: float) -> str:
    """Return the description by which readers recognise Aperio and its resolution; reduced levels name both sizes."""
    (h0, w0), (h, w) = base.shape[:2], level.shape[:2]
    size = f"{w0}x{h0} [0,0 {w0}x{h0}] ({TILE_PX}x{TILE_PX})"
    reduced = "" if level is base else f" -> {w}x{h}"
    return (
        f"Aperio Image Library v12.0.0 pathplugins demo\n{size}{reduced} JPEG/RGB Q={JPEG_QUALITY}"
        f"|AppMag = {magnification:g}|MPP = {mpp:g}"
    )


def _write_tiles(file: BinaryIO, level: np.ndarray) -> tuple[list[int], list[int]]:
    """Append the tiles of one level, row by row; returns their offsets and byte counts."""
    h, w = level.shape[:2]
    padding = ((0, -h % TILE_PX), (0, -w % TILE_PX), (0, 0))
    padded = np.pad(level, padding, mode="edge")  # no hard edge to ring inside the last tiles
    offsets, counts = [], []
    for y in range(0, h, TILE_PX):
        for x in range(0, w, TILE_PX):
            tile = io.BytesIO()
            image = Image.fromarray(padded[y : y + TILE_PX, x : x + TILE_PX])
            image.save(tile, format="JPEG", quality=JPEG_QUALITY, subsampling="4:4:4")
            offsets.append(_align(file))
            counts.append(file.write(tile.getvalue()))
    return offsets, counts


def _tags(level: np.ndarray, description: str, offsets: list[int], counts: list[int]) -> list[Tag]:
    """Return the directory entries of one level, in the ascending order that TIFF wants."""
    h, w = level.shape[:2]
    return [
        (256, LONG, [w]),
        (257, LONG, [h]),
        (258, SHORT, [8, 8, 8]),  # bits per sample
        (259, SHORT, [JPEG_IN_TIFF]),
        (262, SHORT, [YCBCR]),
        (270, ASCII, [*description.encode("ascii"), 0]),
        (277, SHORT, [3]),  # samples per pixel
        (284, SHORT, [1]),  # interleaved
        (322, LONG, [TILE_PX]),
        (323, LONG, [TILE_PX]),
        (324, LONG, offsets),
        (325, LONG, counts),
        (530, SHORT, [1, 1]),  # 4:4:4, as the tiles are
    ]


def _write_directory(file: BinaryIO, link: int, tags: list[Tag]) -> int:
    """Append a directory, point ``link`` at it, return where its own link to the next one is."""
    values = []
    for tag, kind, numbers in tags:
        data = struct.pack(f"<{len(numbers)}{STRUCT[kind]}", *numbers)
        if len(data) > 4:  # does not fit into the entry: the entry holds its offset
            offset = _align(file)
            file.write(data)
            data = struct.pack("<I", offset)
        values.append(struct.pack("<HHI4s", tag, kind, len(numbers), data))
    start = _align(file)
    file.write(struct.pack("<H", len(values)) + b"".join(values))
    next_link = file.tell()
    file.write(struct.pack("<I", 0))
    file.seek(link)
    file.write(struct.pack("<I", start))
    file.seek(0, io.SEEK_END)
    return next_link


def _align(file: BinaryIO) -> int:
    """Pad to an even offset, as TIFF wants, and return it."""
    if file.tell() % 2:
        file.write(b"\0")
    if file.tell() >= 2**32:
        raise ValueError("a classic TIFF holds less than 4 GiB; pass a smaller --size")
    return file.tell()
