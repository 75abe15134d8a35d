"""Decode a JPEG tile so that damage is noticed of which libjpeg only warns, and which OpenSlide takes for an error.

simplejpeg raises on these warnings, with the pixels of imagecodecs in about the same time; but it cannot be told which
colours a tile has. For YCbCr that is said by a JFIF marker put in front. RGB goes through imagecodecs, which drops
warnings: there the tile is decoded as if it were one row higher. Whole data are used up when that row begins, so its
first block is made of what is left, the colour of the last one. Data that ended before leave it grey: libjpeg fills
all blocks with grey once it had to invent bits. One more row of blocks costs about 2 % of the time. Rows that are not
whole blocks, or colours with half the rows, cannot be grown: there only a grey last block is noticed.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

FRAMES = (0xC0, 0xC1, 0xC2)  #: markers of a frame that libjpeg decodes in one or more scans: baseline, progressive
GREY = 128  #: of blocks without data
JFIF = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
"""Begin of a JPEG stream of YCbCr."""
BLOCK_PX = 8  #: side of the smallest block that a decoder leaves grey when the data end early


class Frame(NamedTuple):
    """What the head of a JPEG says."""

    height_at: int
    """Offset of the two bytes with the number of rows."""
    end: int
    """Offset behind the frame."""
    rows: int
    can_grow: bool
    """Whether one more row changes none of the others."""


class TileDecoder:
    """Decodes the JPEG tiles of one level; safe to call from several threads."""

    def __init__(self, codecs: Any, strict: Any, *, tables: bytes | None, colour_space: str) -> None:
        """Take what the tiles have in common.

        Args:
            codecs: imagecodecs.
            strict: simplejpeg.
            tables: Quantisation and Huffman tables that the tiles lack.
            colour_space: Colours in the tiles, whatever they state themselves.
        """
        self._codecs, self._strict = codecs, strict
        self._begin = JFIF + (tables or b"")[2:-2] if colour_space == "YCBCR" else None
        self._options = {"tables": tables, "colorspace": colour_space, "outcolorspace": "RGB"}
        self._known: tuple[bytes, Frame | None] = b"", None
        """Head of the tile decoded last, and its frame: mostly that of all, and parsing it takes 2 % of the time."""

    def decode(self, data: bytes) -> np.ndarray | str:
        """Decode a tile, its end marker included: uint8 ``[H, W, 3]``; or a clause that says what is wrong with it."""
        if self._begin is not None:
            try:
                return self._strict.decode_jpeg(self._begin + data[2:], colorspace="RGB", strict=True)
            except ValueError as error:
                return f"does not decode: {error}"
        head, frame = self._known
        if not head or not data.startswith(head):
            frame = find_frame(data)
            self._known = (b"" if frame is None else data[: frame.end], frame)
        grows = frame is not None and frame.can_grow
        if frame is not None and grows:
            higher = bytearray(data)
            higher[frame.height_at : frame.height_at + 2] = (frame.rows + 1).to_bytes(2, "big")
        try:
            tile = self._codecs.jpeg8_decode(higher if grows else data, **self._options)
        except self._codecs.Jpeg8Error as error:
            return f"does not decode: {error}"
        if tile.ndim != 3 or tile.shape[2] != 3:
            return f"holds {tile.shape}, not three colours"
        suspect = tile[-1, 0, 0] if grows else tile[-1, -1, 0]
        if suspect == GREY and ((tile[-1, :BLOCK_PX] if grows else tile[-BLOCK_PX:, -BLOCK_PX:]) == GREY).all():
            return "ends grey, as data that end early do"
        return tile[:-1] if grows else tile


def find_frame(data: bytes) -> Frame | None:
    """Return the frame of a JPEG stream; None where its head is damaged."""
    at = 2
    while at + 10 < len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if marker in FRAMES:
            rows, components = int.from_bytes(data[at + 5 : at + 7], "big"), data[at + 9]
            factors = data[at + 11 : at + 10 + 3 * components : 3]
            down = {factor & 15 for factor in factors}
            blocks = BLOCK_PX * max(down, default=1)
            return Frame(
                at + 5,
                at + 2 + length,
                rows,
                can_grow=len(down) == 1 and rows > 0 and rows % blocks == 0 and rows < 65_000,
            )
        at += 2 + length
    return None
