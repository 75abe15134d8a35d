"""Tiles: what a vision tower with a fixed input size sees of an image, by the any-resolution rule or as one square.

Legend: T tiles, S side of a tile in pixels. Sizes are (w, h) in pixels, grids (columns, rows) in tiles, arrays
``[h, w, 3]``.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from PIL import Image

Size = tuple[int, int]
Resizer = Callable[[Image.Image], Callable[[Size], np.ndarray]]
"""RGB image -> (size -> the image at that size, uint8 [h, w, 3])."""

GRIDS: tuple[Size, ...] = (
    *((1, 4), (2, 2), (4, 1)),
    *((1, 5), (5, 1)),
    *((1, 6), (2, 3), (3, 2), (6, 1)),
    *((1, 7), (7, 1)),
    *((1, 8), (2, 4), (4, 2), (8, 1)),
)
"""(columns, rows) in the order of PA-LLaVA (99d7ac1), which decides between equals. There is no 1 x 1."""


def choose_grid(size: Size, tile: int) -> Size:
    """(columns, rows) by the published rule.

    The image is scaled into each grid's canvas by ``min(W / w, H / h)`` in double precision, both sides cut to whole
    pixels; the area so covered, but no more than the image has, is the effective resolution. The largest wins, then
    the least canvas left over, then the first in ``GRIDS``. A square of S pixels so becomes 1 x 4 tiles, three
    quarters of them black.
    """
    w, h = size

    def score(grid: Size) -> tuple[int, int]:
        canvas_w, canvas_h = grid[0] * tile, grid[1] * tile
        scale = min(canvas_w / w, canvas_h / h)
        effective = min(int(w * scale) * int(h * scale), w * h)
        return effective, effective - canvas_w * canvas_h

    return max(GRIDS, key=score)  # `max` keeps the first of equals


def number_of_tiles(size: Size, tile: int) -> int:
    """T of `tile_image`, the thumbnail included: 5 to 9."""
    columns, rows = choose_grid(size, tile)
    return 1 + columns * rows


def pillow_bicubic(image: Image.Image) -> Callable[[Size], np.ndarray]:
    """The resizing of the published code."""
    return lambda size: np.asarray(image.resize(size, Image.Resampling.BICUBIC))


def tile_image(image: Image.Image, tile: int, *, resizer: Resizer = pillow_bicubic) -> np.ndarray:
    """Thumbnail and tiles of an RGB image, the published pixels.

    The thumbnail is the whole image at S x S whatever its shape. For the tiles the image is scaled into the canvas of
    its grid (shape kept, the shorter fit rounded up), centred on black and cut row by row.

    Returns:
        uint8 ``[T, S, S, 3]``, the thumbnail first.
    """
    columns, rows = choose_grid(image.size, tile)
    resize = resizer(image)
    w, h = fitted = _fit(image.size, (columns * tile, rows * tile))
    x, y = (columns * tile - w) // 2, (rows * tile - h) // 2
    canvas = np.zeros((rows * tile, columns * tile, 3), np.uint8)
    canvas[y : y + h, x : x + w] = resize(fitted)
    tiles = np.empty((1 + rows * columns, tile, tile, 3), np.uint8)
    tiles[0] = resize((tile, tile))
    cells = canvas.reshape(rows, tile, columns, tile, 3).swapaxes(1, 2)  # [rows, columns, S, S, 3]
    tiles[1:].reshape(cells.shape)[...] = cells
    return tiles


def square_image(
    image: Image.Image, tile: int, background: tuple[int, int, int], *, resizer: Resizer = pillow_bicubic
) -> np.ndarray:
    """An RGB image centred on a square of ``background``, then resized, as LLaVA 1.5 does: uint8 ``[1, S, S, 3]``."""
    w, h = image.size
    if w != h:
        side = max(w, h)
        square = Image.new("RGB", (side, side), background)
        square.paste(image, ((side - w) // 2, (side - h) // 2))
        image = square
    return resizer(image)((tile, tile))[None]


def _fit(size: Size, canvas: Size) -> Size:
    """The largest size of the same shape within ``canvas``; the side that does not fill it is rounded up."""
    (w, h), (canvas_w, canvas_h) = size, canvas
    scale_w, scale_h = canvas_w / w, canvas_h / h
    if scale_w < scale_h:
        return canvas_w, min(math.ceil(h * scale_w), canvas_h)
    return min(math.ceil(w * scale_h), canvas_w), canvas_h
