"""Open a slide, and read its size and pixels.

Sizes are (w, h), positions (x, y) and arrays ``[H, W, C]``; ``_px0`` is level-0 pixels, ``_px`` pixels as read.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Literal

import numpy as np
from PIL import Image

from pathplugins.core.errors import MissingDependencyError
from pathplugins.core.optional import need
from pathplugins.core.suffixes import slide_name

from .errors import SlideError
from .faults import faults_named
from .jpeg_tiles import JpegTiles, OpenSlideNeededError
from .levels import Level, Levels, usable_levels
from .openslide_pixels import read_on_white
from .readers.opening import Opened, open_slide

BLOCK_PX = 4096  #: side of the largest region read at once for a thumbnail, pixels of the level read
LEVEL_TOLERANCE = 1.01  #: downsamples are rounded (4.0003 instead of 4); such a level still counts as sharp enough
MOST_KNOWN = 64  #: slides whose levels are remembered


class Slide:
    """An open slide or plain image; safe to read from several threads."""

    def __init__(self, path: str | Path, reader: Literal["auto", "openslide"] = "auto") -> None:
        """Open it.

        Args:
            path: the file; for DICOM also the folder of one series, for OME-Zarr its folder.
            reader: ``auto`` reads tiled JPEG slides tile by tile, several times faster, where the pixels are known to
                be those of OpenSlide; ``openslide`` never does.

        Raises:
            SlideError: nothing can read it.
        """
        self.path = Path(path)
        self.slide_id = slide_name(self.path)
        with faults_named(self.path, doing="opening it"):
            opened = open_slide(self.path)
            self._handle, self._package, self.image_dpi = opened.handle, opened.reader, opened.image_dpi
            self._tiles, self.reader_note = _tiles(self.path, opened, reader)
            self.levels, self.level_note = _levels(self.path, opened)
            """The levels that show the slide, and a clause on those that are padded or left out."""
        self.downsamples = tuple(level.downsample for level in self.levels)
        """Downsample of every such level, 1.0 first."""

    @property
    def reader(self) -> str:
        """The reader in use: ``tiles``, ``openslide``, or the package that reads what OpenSlide cannot.

        ``reader_note`` says in a clause why it is ``openslide``, and is None otherwise.
        """
        return self._package if self._tiles is None else "tiles"

    @property
    def slow_note(self) -> str | None:
        """Why reading is slower than it could be; None where there is no faster way, as with a plain image."""
        return f"read through OpenSlide: {self.reader_note}" if self.reader_note and self.properties else None

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know about how it is read, and what of the file is left out."""
        found = (self.level_note, self.slow_note, *getattr(self._handle, "notes", ()))
        return tuple(note for note in found if note)

    @property
    def size_px0(self) -> tuple[int, int]:
        """(w, h) of the sharpest level."""
        return self._handle.dimensions

    @property
    def properties(self) -> dict[str, str]:
        """The properties OpenSlide found; empty for a plain image."""
        return dict(self._handle.properties)

    def read(self, x_px0: int, y_px0: int, size_px0: tuple[int, int], size_px: tuple[int, int]) -> np.ndarray:
        """Read the level-0 box at (x, y) as ``size_px`` pixels of RGB on white.

        The nearest level that is at least as sharp as asked for is read, then resized.

        Args:
            x_px0: Left edge of the box.
            y_px0: Its top edge.
            size_px0: Its (w, h) at level 0.
            size_px: (w, h) of the result.

        Returns:
            uint8 ``[H, W, 3]``.
        """
        wanted = min(size_px0[0] / size_px[0], size_px0[1] / size_px[1])
        level = self.levels[self._level_for(wanted)]
        at_level = tuple(max(1, round(px0 / scale)) for px0, scale in zip(size_px0, level.scale_xy, strict=True))
        region = self._region(level, int(x_px0), int(y_px0), at_level)
        if at_level != size_px:
            region = np.asarray(Image.fromarray(region).resize(size_px, Image.Resampling.BICUBIC))
        return region  # [H, W, 3]

    def thumbnail(self, size_px: tuple[int, int]) -> np.ndarray:
        """Read the whole slide as uint8 ``[H, W, 3]`` of (w, h) ``size_px``, block by block to bound the memory."""
        (w, h), (w0, h0) = size_px, self.size_px0
        scale = min(w0 / w, h0 / h)
        block = max(1, int(BLOCK_PX * self.downsamples[self._level_for(scale)] / scale))
        canvas = np.empty((h, w, 3), np.uint8)
        for top in range(0, h, block):
            for left in range(0, w, block):
                right, bottom = min(left + block, w), min(top + block, h)
                x, y = left * w0 // w, top * h0 // h
                box_px0 = (right * w0 // w - x, bottom * h0 // h - y)
                canvas[top:bottom, left:right] = self.read(x, y, box_px0, (right - left, bottom - top))
        return canvas

    def close(self) -> None:
        """Close the file."""
        if self._tiles is not None:
            self._tiles.close()
        self._handle.close()

    def __enter__(self) -> Slide:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _region(self, level: Level, x_px0: int, y_px0: int, size_px: tuple[int, int]) -> np.ndarray:
        """Read a box of a level at a level-0 position: uint8 ``[H, W, 3]``."""
        with faults_named(self.path, doing=f"reading level {level.number} at ({x_px0}, {y_px0})"):
            return self._pixels(level, x_px0, y_px0, size_px)

    def _pixels(self, level: Level, x_px0: int, y_px0: int, size_px: tuple[int, int]) -> np.ndarray:
        number, why = level.number, ""
        x_px0, y_px0 = level.position(x_px0, y_px0)
        if self._tiles is not None:
            try:
                return self._tiles.region(number, x_px0, y_px0, size_px)
            except OpenSlideNeededError as reason:
                why = f"{reason}; "
        try:
            return read_on_white(self._handle, x_px0, y_px0, number, size_px)
        except need("openslide").OpenSlideError as error:
            raise SlideError(
                f"{self.path}: cannot read the {size_px[0]} x {size_px[1]} pixels of level {number} at "
                f"({x_px0}, {y_px0}) ({why}OpenSlide: {error}); the file is damaged, or no kind OpenSlide knows: "
                "copy it again, or leave it out"
            ) from error

    def _level_for(self, downsample: float) -> int:
        """Return the blurriest level that is still at least as sharp as ``downsample``."""
        sharp = [i for i, d in enumerate(self.downsamples) if d <= downsample * LEVEL_TOLERANCE]
        return max(sharp, key=lambda i: self.downsamples[i], default=0)


_KNOWN: dict[tuple[object, ...], Levels] = {}
"""Levels of the slides that this process opened: comparing their pixels takes a second, and patches and features of a
slide open it one after the other."""


def _levels(path: Path, opened: Opened) -> Levels:
    """Return the levels of an open slide, compared once as long as its file stays the same."""
    if path.is_dir():  # its files may change under it
        return usable_levels(opened.handle)
    file = path.stat()
    sizes = tuple(opened.handle.level_dimensions)
    key = (path.resolve(), file.st_size, file.st_mtime_ns, opened.reader, sizes)
    if key not in _KNOWN:
        found = usable_levels(opened.handle)
        if len(_KNOWN) >= MOST_KNOWN:
            _KNOWN.clear()
        _KNOWN[key] = found
    return _KNOWN[key]


def _tiles(path: Path, opened: Opened, reader: str) -> tuple[JpegTiles | None, str | None]:
    """Return the reader of tiles, or the reason why OpenSlide has to read them; no reason where it does not."""
    if opened.reader != "openslide":
        return None, None
    if reader == "openslide":
        return None, "asked for"
    if path.is_dir():
        return None, "a series of files is put together by OpenSlide"
    try:
        return JpegTiles(path, opened.handle), None
    except OpenSlideNeededError as reason:
        return None, str(reason)
    except MissingDependencyError as error:
        return None, str(error)
