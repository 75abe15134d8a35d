"""Give a pyramid of tiles the interface of an OpenSlide handle; each reader brings the function that decodes a tile.

Sizes are (w, h), positions (x, y), arrays ``[H, W, C]``; ``_px0`` is level-0 pixels, ``_px`` pixels of the level read.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from PIL import Image

from ..errors import SlideError
from ..tile_cache import TileCache, cache_bytes

MOST_TILE_BYTES = 256 * 2**20  #: the largest tile that is decoded, RGB; a file of larger ones cannot be read in parts


@dataclass(frozen=True, kw_only=True)
class TiledLevel:
    """One level of a pyramid."""

    size_px: tuple[int, int]
    tile_px: tuple[int, int]


Decode = Callable[[int, int, int], np.ndarray]
"""(level, column, row) -> uint8 ``[h, w, 3]``; tiles at the right and lower border may be whole or cut."""


class TiledHandle:
    """An open slide that is read tile by tile, with a bounded cache; safe to read from several threads."""

    def __init__(
        self,
        source: str,
        levels: list[TiledLevel],
        decode: Decode,
        *,
        properties: dict[str, str],
        close: Callable[[], object],
        notes: tuple[str, ...] = (),
    ) -> None:
        """Take what a reader found in a file.

        Args:
            source: The file, for messages.
            levels: The pyramid, sharpest first.
            decode: Decodes one tile.
            properties: Properties under OpenSlide's names; those of the levels are added.
            close: Closes the file.
            notes: What the user should know of the file, a sentence each.

        Raises:
            SlideError: tiles too large to be read one by one.
        """
        tile_w, tile_h = max((level.tile_px for level in levels), key=math.prod)
        if 3 * tile_w * tile_h > MOST_TILE_BYTES:
            raise SlideError(
                f"{source}: its pixels lie in blocks of {tile_w} x {tile_h}, too large to read one by one; convert it "
                "to tiles: vips tiffsave IN OUT.tif --tile --pyramid --compression jpeg --bigtiff"
            )
        self.dimensions = levels[0].size_px
        self.level_dimensions = tuple(level.size_px for level in levels)
        (w0, h0), sizes = self.dimensions, self.level_dimensions
        self.level_downsamples = tuple((w0 / w + h0 / h) / 2 for w, h in sizes)
        self.properties = {**properties, **self._level_properties(levels)}
        self.notes = notes
        self._levels, self._decode, self._close = levels, decode, close
        rows = (-(-level.size_px[0] // level.tile_px[0]) * math.prod(level.tile_px) * 3 for level in levels)
        self._cache = TileCache(cache_bytes(max(rows)))

    def read_region(self, location: tuple[int, int], level: int, size: tuple[int, int]) -> Image.Image:
        """Read (w, h) pixels of a level whose corner is nearest to a level-0 position: RGBA, clear beyond the level."""
        (w, h), scale = size, self.level_downsamples[level]
        left, top = round(location[0] / scale), round(location[1] / scale)
        (tile_w, tile_h), (level_w, level_h) = self._levels[level].tile_px, self._levels[level].size_px
        out = np.zeros((h, w, 4), np.uint8)
        x_from, y_from, right, bottom = max(left, 0), max(top, 0), min(left + w, level_w), min(top + h, level_h)
        if right <= x_from or bottom <= y_from:
            return Image.fromarray(out)
        for row in range(y_from // tile_h, -(-bottom // tile_h)):
            y0, y1 = max(y_from, row * tile_h), min(bottom, (row + 1) * tile_h)
            for column in range(x_from // tile_w, -(-right // tile_w)):
                x0, x1 = max(x_from, column * tile_w), min(right, (column + 1) * tile_w)
                tile = self._cache.get((level, column, row), partial(self._decode, level, column, row))
                part = tile[y0 - row * tile_h : y1 - row * tile_h, x0 - column * tile_w : x1 - column * tile_w]
                out[y0 - top : y1 - top, x0 - left : x1 - left, :3] = part
        out[y_from - top : bottom - top, x_from - left : right - left, 3] = 255
        return Image.fromarray(out)

    def close(self) -> None:
        """Close the file."""
        self._close()

    def _level_properties(self, levels: list[TiledLevel]) -> dict[str, str]:
        """Return the properties that OpenSlide gives of every level."""
        found = {"openslide.level-count": str(len(levels))}
        for number, (level, downsample) in enumerate(zip(levels, self.level_downsamples, strict=True)):
            sides = {"width": level.size_px[0], "height": level.size_px[1]}
            tiles = {"tile-width": level.tile_px[0], "tile-height": level.tile_px[1]}
            found |= {f"openslide.level[{number}].{name}": str(px) for name, px in (sides | tiles).items()}
            found[f"openslide.level[{number}].downsample"] = repr(downsample)
        return found
