"""Grids, tiles and squares against slow copies of the published rules (features A14, A29)."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from pathplugins.data.anyres import (
    GRIDS,
    Size,
    choose_grid,
    middle_image,
    number_of_tiles,
    pillow_bicubic,
    square_image,
    tile_image,
)

PUBLISHED = "1x4 2x2 4x1 1x5 5x1 1x6 2x3 3x2 6x1 1x7 7x1 1x8 2x4 4x2 8x1"
"""Columns x rows, in the published order."""
TILE = 224
SIDES = [1, 2, 3, 97, 223, 224, 225, 448, 500, 641, 672, 895, 896, 897, 1000, 1344, 1791, 1792, 1793, 2048, 3000, 4096]


def noise(size: Size, seed: int = 0) -> Image.Image:
    w, h = size
    return Image.fromarray(np.random.default_rng([seed, w, h]).integers(0, 256, (h, w, 3), np.uint8))


def candidates(size: Size, tile: int) -> list[tuple[int, int, Size]]:
    """(effective pixels, wasted pixels, grid) of each grid in the published order."""
    found = []
    for name in PUBLISHED.split():
        columns, rows = map(int, name.split("x"))
        canvas = columns * tile, rows * tile
        scale = min(canvas[0] / size[0], canvas[1] / size[1])
        covered = int(size[0] * scale) * int(size[1] * scale)
        effective = min(covered, size[0] * size[1])
        found.append((effective, canvas[0] * canvas[1] - effective, (columns, rows)))
    return found


def published_grid(size: Size, tile: int) -> tuple[Size, bool]:
    """The first of the largest effective resolution and then the least waste; whether a later one is its equal."""
    found = candidates(size, tile)
    effective = max(each[0] for each in found)
    waste = min(each[1] for each in found if each[0] == effective)
    best = [grid for *score, grid in found if score == [effective, waste]]
    return best[0], len(best) > 1


def published_tiles(image: Image.Image, tile: int) -> list[np.ndarray]:
    """Thumbnail and tiles, uint8 [h, w, 3], by Pillow step by step."""
    (columns, rows), _ = published_grid(image.size, tile)
    canvas = Image.new("RGB", (columns * tile, rows * tile))
    scale_w, scale_h = canvas.width / image.width, canvas.height / image.height
    if scale_w < scale_h:
        w, h = canvas.width, min(math.ceil(image.height * scale_w), canvas.height)
    else:
        w, h = min(math.ceil(image.width * scale_h), canvas.width), canvas.height
    scaled = image.resize((w, image.height), 3).resize((w, h), 3)  # `test_pillow_bicubic_...` shows why in two steps
    canvas.paste(scaled, ((canvas.width - w) // 2, (canvas.height - h) // 2))
    tiles = [image.resize((tile, image.height), 3).resize((tile, tile), 3)]
    for y, x in itertools.product(range(0, canvas.height, tile), range(0, canvas.width, tile)):
        tiles.append(canvas.crop((x, y, x + tile, y + tile)))
    return [np.asarray(each) for each in tiles]


def slow_bicubic(pixels: np.ndarray, new: int) -> np.ndarray:
    """The first axis of uint8 [old, ..., 3] resized as Pillow does it, one number at a time."""
    old = len(pixels)
    scale, rows = old / new, []
    for number in range(new):
        centre, wide = (number + 0.5) * scale, max(scale, 1.0)
        first, end = max(int(centre - 2 * wide + 0.5), 0), min(int(centre + 2 * wide + 0.5), old)
        weights = []
        for pixel in range(first, end):
            x = abs((pixel - centre + 0.5) * (1 / wide))
            inner, outer = (1.5 * x - 2.5) * x * x + 1, (((x - 5) * x + 8) * x - 4) * -0.5
            weights.append(inner if x < 1 else outer if x < 2 else 0.0)
        total = sum(weights)
        whole = [math.floor(abs(w / total) * 2**22 + 0.5) * (1 if w > 0 else -1) for w in weights]
        sums = sum(int(w) * pixels[first + i].astype(object) for i, w in enumerate(whole))
        rows.append(np.vectorize(lambda s: min(max(math.floor(Fraction(s, 2**22) + Fraction(1, 2)), 0), 255))(sums))
    return np.array(rows).astype(np.uint8)


def test_a14_the_grids_are_the_published_ones() -> None:
    assert [f"{columns}x{rows}" for columns, rows in GRIDS] == PUBLISHED.split()


@pytest.mark.parametrize("tile", [7, TILE])
def test_a14_every_size_gets_the_published_grid(tile: int) -> None:
    rng = np.random.default_rng(tile)
    sizes = [*itertools.product(SIDES, SIDES), *itertools.product(range(1, 70), range(1, 70))]
    sizes += [tuple(map(int, np.exp(rng.uniform(0, 9, 2)) + 1)) for _ in range(3000)]
    ties, grids = 0, set()
    for size in sizes:
        grid, tied = published_grid(size, tile)
        assert choose_grid(size, tile) == grid, size
        assert number_of_tiles(size, tile) == 1 + grid[0] * grid[1]
        ties, grids = ties + tied, grids | {grid}
    assert ties > 100  # which the order of the grids decides
    assert len(grids) == 15
    assert choose_grid((tile, tile), tile) == (1, 4)
    assert {number_of_tiles(size, tile) for size in sizes} == {5, 6, 7, 8, 9}


@pytest.mark.parametrize(
    "size",
    [(1, 1), (3, 500), (97, 161), (161, 97), (224, 224), (448, 448), (641, 87), (700, 333), (60, 900), (1000, 301)],
    ids=str,
)
@pytest.mark.parametrize("tile", [32, TILE])
def test_a14_every_pixel_is_the_published_one(size: Size, tile: int) -> None:
    image = noise(size)
    tiles, wanted = tile_image(image, tile), published_tiles(image, tile)
    assert tiles.shape == (number_of_tiles(size, tile), 3, tile, tile)
    assert tiles.dtype == np.float32
    assert np.array_equal(tiles, np.stack(wanted).transpose(0, 3, 1, 2))


@pytest.mark.parametrize("resized", [(31, 22), (31, 61), (50, 40), (13, 45)], ids=str)
@pytest.mark.parametrize("size", [(53, 37), (20, 90), (9, 90), (40, 2)], ids=str)
def test_pillow_bicubic_is_rows_then_columns_in_every_pillow(size: Size, resized: Size) -> None:
    """Pillow 13 turns that around for tall images, 12.3 for very tall ones; the published code is older than both."""
    image = noise(size)
    rows = slow_bicubic(np.asarray(image).swapaxes(0, 1), resized[0]).swapaxes(0, 1)
    wanted = slow_bicubic(rows, resized[1])
    assert np.array_equal(pillow_bicubic(image, [resized])[0], wanted.transpose(2, 0, 1))
    if size[1] / resized[1] <= size[0] / resized[0]:
        assert np.array_equal(np.asarray(image.resize(resized)), wanted)


@pytest.mark.parametrize("size", [(97, 160), (160, 97), (161, 33), (5, 5), (1, 200)], ids=str)
def test_square_stands_where_llava_puts_it(size: Size) -> None:
    image, side = noise(size), max(size)
    wanted = np.tile(np.array([122, 116, 104], np.uint8), (side, side, 1))
    left, top = math.floor((side - size[0]) / 2), math.floor((side - size[1]) / 2)
    wanted[top : top + size[1], left : left + size[0]] = np.asarray(image)
    (square,) = square_image(image, side, (122, 116, 104))  # at its own size nothing is resized
    assert np.array_equal(square, wanted.transpose(2, 0, 1))
    small = square_image(image, 64, (122, 116, 104))
    assert small.shape == (1, 3, 64, 64)
    assert small.dtype == np.float32
    assert np.array_equal(small[0], np.asarray(Image.fromarray(wanted).resize((64, 64))).transpose(2, 0, 1))


@pytest.mark.parametrize("size", [(97, 160), (160, 97), (161, 33), (5, 5), (32, 33), (33, 32)], ids=str)
def test_the_middle_is_cut_out_after_resizing(size: Size) -> None:
    image, tile = noise(size), 32
    short, long = sorted(size)
    stretched = tile * long // short  # the longer side, cut to whole pixels
    sides = (tile, stretched) if size[0] <= size[1] else (stretched, tile)
    left, top = ((side - tile) // 2 for side in sides)
    wanted = pillow_bicubic(image, [sides])[0][:, top : top + tile, left : left + tile]
    got = middle_image(image, tile)
    assert (got.shape, got.dtype) == ((1, 3, tile, tile), np.float32)
    assert np.array_equal(got[0], wanted)
