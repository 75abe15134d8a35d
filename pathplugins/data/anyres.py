"""Cut an image into tiles for a vision tower with a fixed input size: by the any-resolution rule, or to one square.

Legend: T tiles, S side of a tile in pixels. Sizes are (w, h) in pixels, grids (columns, rows) in tiles, arrays
``[3, h, w]`` with values of 0 to 255.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image

Size = tuple[int, int]
Resizer = Callable[[Image.Image, Sequence[Size]], list[np.ndarray]]
"""RGB image, sizes -> the image at each size, [3, h, w] of whole numbers of any type."""

GRIDS: tuple[Size, ...] = (
    *((1, 4), (2, 2), (4, 1)),
    *((1, 5), (5, 1)),
    *((1, 6), (2, 3), (3, 2), (6, 1)),
    *((1, 7), (7, 1)),
    *((1, 8), (2, 4), (4, 2), (8, 1)),
)
"""(columns, rows) in the order of PA-LLaVA (99d7ac1), which decides between equals. There is no 1 x 1."""


def choose_grid(size: Size, tile: int) -> Size:
    """Choose a grid (columns, rows) for an image by the published rule.

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
    """Count the tiles that `tile_image` gives for an image of this size, the thumbnail included: 5 to 9."""
    columns, rows = choose_grid(size, tile)
    return 1 + columns * rows


def pillow_bicubic(image: Image.Image, sizes: Sequence[Size]) -> list[np.ndarray]:
    """Resize as the published code does: rows, then columns.

    Two calls, because by itself Pillow 13 begins with the columns of tall images, which changes their pixels.
    """
    bicubic = Image.Resampling.BICUBIC
    resized = [image.resize((w, image.height), bicubic).resize((w, h), bicubic) for w, h in sizes]
    return [np.asarray(each).transpose(2, 0, 1) for each in resized]


def tile_image(image: Image.Image, tile: int, *, resizer: Resizer = pillow_bicubic) -> np.ndarray:
    """Cut an RGB image into a thumbnail and tiles, with the published pixels.

    The thumbnail is the whole image at S x S whatever its shape. For the tiles the image is scaled into the canvas of
    its grid (shape kept, the shorter fit rounded up), centred on black and cut row by row.

    Returns:
        float32 ``[T, 3, S, S]`` of whole numbers, the thumbnail first.
    """
    columns, rows = choose_grid(image.size, tile)
    w, h = fitted = _fit(image.size, (columns * tile, rows * tile))
    left, top = (columns * tile - w) // 2, (rows * tile - h) // 2
    tiles = np.zeros((1 + rows * columns, 3, tile, tile), np.float32)
    tiles[0], pixels = resizer(image, [(tile, tile), fitted])
    for target, (row, column) in zip(tiles[1:], itertools.product(range(rows), range(columns)), strict=True):
        x, y = column * tile - left, row * tile - top  # the corner of the tile in the scaled image, maybe outside
        part = pixels[:, max(y, 0) : max(y + tile, 0), max(x, 0) : max(x + tile, 0)]  # [3, part of S, part of S]
        target[:, max(-y, 0) :, max(-x, 0) :][:, : part.shape[1], : part.shape[2]] = part
    return tiles


def square_image(
    image: Image.Image, tile: int, background: tuple[int, int, int], *, resizer: Resizer = pillow_bicubic
) -> np.ndarray:
    """Centre an RGB image on a square of ``background`` and resize it, as LLaVA 1.5 does: float32 ``[1, 3, S, S]``."""
    w, h = image.size
    if w != h:
        side = max(w, h)
        square = Image.new("RGB", (side, side), background)
        square.paste(image, ((side - w) // 2, (side - h) // 2))
        image = square
    return np.array(resizer(image, [(tile, tile)]), np.float32)


def middle_image(image: Image.Image, tile: int, *, resizer: Resizer = pillow_bicubic) -> np.ndarray:
    """Resize the shorter side to ``tile`` and cut out the middle, as CLIP's own processor: float32 ``[1, 3, S, S]``."""
    w, h = image.size
    w, h = (tile, int(tile * h / w)) if w <= h else (int(tile * w / h), tile)
    [pixels] = resizer(image, [(w, h)])  # [3, h, w]
    top, left = (h - tile) // 2, (w - tile) // 2
    return np.array(pixels[None, :, top : top + tile, left : left + tile], np.float32)


def _fit(size: Size, canvas: Size) -> Size:
    """Fit a size into ``canvas`` with its shape kept; the side that does not fill the canvas is rounded up."""
    (w, h), (canvas_w, canvas_h) = size, canvas
    scale_w, scale_h = canvas_w / w, canvas_h / h
    if scale_w < scale_h:
        return canvas_w, min(math.ceil(h * scale_w), canvas_h)
    return min(math.ceil(w * scale_h), canvas_w), canvas_h
