"""A handle of tiles: any box of any level, each tile decoded once, clear beyond, and tiles of bounded size."""

import numpy as np
import pytest

from pathplugins.data_tools.slides.errors import SlideError
from pathplugins.data_tools.slides.readers.tiled import TiledHandle, TiledLevel

PIXELS = np.random.default_rng(0).integers(0, 255, (70, 101, 3), np.uint8)


def handle(decoded: list[tuple[int, int, int]], *, whole: bool) -> TiledHandle:
    """Two levels of tiles 32 px wide and 24 high; those at the border whole or cut."""
    parts = [PIXELS, PIXELS[::2, ::2]]

    def decode(level: int, column: int, row: int) -> np.ndarray:
        decoded.append((level, column, row))
        tile = parts[level][row * 24 : row * 24 + 24, column * 32 : column * 32 + 32]
        return np.pad(tile, ((0, 24 - tile.shape[0]), (0, 32 - tile.shape[1]), (0, 0))) if whole else tile

    levels = [TiledLevel(size_px=part.shape[1::-1], tile_px=(32, 24)) for part in parts]
    return TiledHandle("s", levels, decode, properties={"openslide.mpp-x": "0.5"}, close=lambda: decoded.clear())


@pytest.mark.parametrize("whole", [True, False])
def test_any_box_is_read_from_its_tiles(whole: bool) -> None:
    decoded: list[tuple[int, int, int]] = []
    slide = handle(decoded, whole=whole)
    assert (slide.dimensions, slide.level_dimensions) == ((101, 70), ((101, 70), (51, 35)))
    assert slide.properties["openslide.level[1].width"] == "51"
    for x, y, w, h in ((0, 0, 101, 70), (31, 23, 2, 2), (90, 60, 30, 30), (-5, -9, 20, 20), (200, 0, 7, 9)):
        read = np.asarray(slide.read_region((x, y), 0, (w, h)))
        wanted = np.zeros((h, w, 4), np.uint8)
        left, top, right, bottom = max(x, 0), max(y, 0), min(x + w, 101), min(y + h, 70)
        if right > left and bottom > top:
            wanted[top - y : bottom - y, left - x : right - x, :3] = PIXELS[top:bottom, left:right]
            wanted[top - y : bottom - y, left - x : right - x, 3] = 255
        assert np.array_equal(read, wanted), (x, y)
    half = np.asarray(slide.read_region((20, 10), 1, (9, 7)))[..., :3]
    assert np.array_equal(half, PIXELS[::2, ::2][5:12, 10:19])
    assert len(decoded) == len(set(decoded)) == 12 + 1
    slide.close()
    assert not decoded


def test_blocks_too_large_to_read_alone_are_refused() -> None:
    level = TiledLevel(size_px=(90_000, 60_000), tile_px=(90_000, 60_000))
    with pytest.raises(SlideError, match=r"blocks of 90000 x 60000.*vips tiffsave"):
        TiledHandle("s", [level], lambda *_: PIXELS, properties={}, close=lambda: None)
