"""Decoded tiles are made once by all threads, and the oldest are dropped first."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from pathplugins.data_tools.slides.tile_cache import (
    CACHE_ROWS,
    LEAST_CACHE_BYTES,
    MOST_CACHE_BYTES,
    TileCache,
    cache_bytes,
)


def tile(value: int) -> np.ndarray:
    return np.full((10, 10, 3), value, np.uint8)


def test_cache_drops_the_least_recently_used() -> None:
    cache, made = TileCache(limit_bytes=650), []

    def get(key: int) -> None:
        assert cache.get(key, lambda: made.append(key) or tile(key))[0, 0, 0] == key

    for key in (1, 2, 1, 3, 1, 2):  # two fit: 3 pushes out 2
        get(key)
    assert made == [1, 2, 3, 2]


def test_cache_makes_once_and_hands_on_errors() -> None:
    cache, going, made = TileCache(limit_bytes=10_000), threading.Event(), []

    def slow() -> np.ndarray:
        made.append(1)
        going.wait(5)
        if len(made) == 1:
            raise OSError("disk")
        return tile(7)

    with ThreadPoolExecutor(4) as pool:
        waiting = [pool.submit(cache.get, "key", slow) for _ in range(4)]
        going.set()
        outcomes = [future.exception() for future in waiting]
    assert any(isinstance(outcome, OSError) for outcome in outcomes)
    assert cache.get("key", slow)[0, 0, 0] == 7
    assert cache.get("key", lambda: tile(1))[0, 0, 0] == 7


def test_the_cache_grows_with_the_slide_within_bounds() -> None:
    narrow, wide, widest = (cache_bytes(3 * 256 * width) for width in (20_000, 100_000, 1_000_000))
    assert (narrow, widest) == (LEAST_CACHE_BYTES, MOST_CACHE_BYTES)
    assert wide == CACHE_ROWS * 3 * 256 * 100_000
