"""Tiles: squares of a slide at any zoom, for a viewer in a browser; slides that are looked at stay open.

Sizes are (w, h), positions (x, y); ``_px0`` is level-0 pixels.
"""

from __future__ import annotations

import io
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.optional import need

TILE_PX, OVERLAP_PX = 510, 1  #: Deep Zoom advises a power of two with the overlap of both sides
QUALITY = 85  #: of JPEG
MOST_OPEN = 8
"""Slides that stay open; each keeps the tiles it has decoded."""

Stamp = tuple[Path, int, int]


class PyramidForDeepZoom:
    """A slide as OpenSlide's `DeepZoomGenerator` wants it, whatever reads it: only levels that show the slide.

    Args:
        slide: an open `pathplugins.data_tools.slides.slide.Slide`.
    """

    def __init__(self, slide: Any) -> None:
        self._slide = slide
        self.dimensions = slide.size_px0
        self.level_dimensions = tuple(level.size_px for level in slide.levels)
        self.level_downsamples = slide.downsamples
        self.properties: dict[str, str] = {}
        """None: margins that were not scanned are white here as in patches."""

    def get_best_level_for_downsample(self, downsample: float) -> int:
        """Return the blurriest level that is at least as sharp."""
        sharp = [number for number, each in enumerate(self.level_downsamples) if each <= downsample * 1.01]
        return sharp[-1] if sharp else 0

    def read_region(self, location: tuple[int, int], level: int, size: tuple[int, int]) -> Image.Image:
        """Read a box of a level at a level-0 position, RGBA."""
        across, down = self._slide.levels[level].scale_xy
        size_px0 = (round(size[0] * across), round(size[1] * down))
        return Image.fromarray(self._slide.read(*location, size_px0, size)).convert("RGBA")


class OpenSlides:
    """Slides that are open, the latest ones; one that is no longer wanted is closed when its last reader is done."""

    def __init__(self, most: int = MOST_OPEN) -> None:
        self._most, self._lock = most, threading.Lock()
        self._open: OrderedDict[Stamp, _Shared] = OrderedDict()

    @contextmanager
    def slide(self, path: Path) -> Iterator[_Shared]:
        """Lend an open slide; one whose file was written anew is opened anew.

        Raises:
            PathPluginsError: it cannot be opened.
        """
        shared = self._taken(path)
        try:
            yield shared
        finally:
            with self._lock:
                shared.readers -= 1
                self._close_unused(shared)

    def close(self) -> None:
        """Close all."""
        with self._lock:
            while self._open:
                self._close_unused(self._open.popitem()[1])

    def _taken(self, path: Path) -> _Shared:
        found = path.stat()
        stamp = (path, found.st_size, found.st_mtime_ns)
        with self._lock:
            if stamp in self._open:
                self._open.move_to_end(stamp)
                self._open[stamp].readers += 1
                return self._open[stamp]
        shared = _Shared(path)  # may take a second: others go on
        with self._lock:
            shared = self._open.setdefault(stamp, shared)
            shared.readers += 1
            while len(self._open) > self._most:
                self._close_unused(self._open.popitem(last=False)[1])
        return shared

    def _close_unused(self, shared: _Shared) -> None:
        if not shared.readers and shared not in self._open.values():
            shared.slide.close()


class _Shared:
    """An open slide with its pyramid of tiles, and how many read it."""

    def __init__(self, path: Path) -> None:
        from pathplugins.data_tools.slides.slide import Slide

        deepzoom = need("openslide.deepzoom")
        self.slide = Slide(path)
        self.zoom = deepzoom.DeepZoomGenerator(PyramidForDeepZoom(self.slide), TILE_PX, OVERLAP_PX)
        self.readers = 0


def tile(shared: _Shared, level: int, column: int, row: int) -> bytes:
    """Return a tile as JPEG.

    Args:
        shared: of `OpenSlides.slide`.
        level: of Deep Zoom, 0 is one pixel.
        column: from the left.
        row: from the top.

    Raises:
        PathPluginsError: there is no such tile, or the file is damaged there.
    """
    tiles = shared.zoom.level_tiles
    if not (0 <= level < len(tiles) and 0 <= column < tiles[level][0] and 0 <= row < tiles[level][1]):
        raise PathPluginsError(
            f"{shared.slide.slide_id} has no tile {column}, {row} at level {level}; it has {len(tiles)} levels"
        )
    picture = shared.zoom.get_tile(level, (column, row))
    out = io.BytesIO()
    picture.save(out, format="JPEG", quality=QUALITY)
    return out.getvalue()
