"""Cache of decoded tiles: each is decoded once, however many threads want it at the same time."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future

import numpy as np

Tile = np.ndarray | str  #: uint8 ``[H, W, 3]``, or why there are no pixels
LEAST_CACHE_BYTES, MOST_CACHE_BYTES = 64 * 2**20, 512 * 2**20  #: limits of the memory for decoded tiles
CACHE_ROWS = 3  #: rows of tiles kept: patches that are read row by row come back to that many


class TileCache:
    """Keeps tiles, at most ``limit_bytes`` of pixels; those not used for longest are dropped first."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._bytes = 0
        self._lock = threading.Lock()
        self._tiles: OrderedDict[Hashable, Future[Tile]] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], Tile]) -> Tile:
        """Return the tile of ``key``: one caller makes it, without the lock, and the others wait for it.

        An error of ``make`` is raised in all callers that wait, and the next caller tries again.
        """
        with self._lock:
            found = self._tiles.get(key)
            if found is not None:
                self._tiles.move_to_end(key)
            else:
                promised: Future[Tile] = Future()
                self._tiles[key] = promised
        if found is not None:
            return found.result()
        try:
            tile = make()
        except BaseException as error:
            with self._lock:
                del self._tiles[key]
            promised.set_exception(error)
            raise
        promised.set_result(tile)
        with self._lock:
            self._bytes += _size(tile)
            self._shrink()
        return tile

    def _shrink(self) -> None:
        """Drop the oldest finished tiles until the rest fits; the lock is held."""
        while self._bytes > self._limit_bytes:
            oldest = next((key for key, tile in self._tiles.items() if tile.done()), None)
            if oldest is None:  # all that is left is being made
                return
            self._bytes -= _size(self._tiles.pop(oldest).result())


def cache_bytes(row_bytes: int) -> int:
    """Return how many bytes of decoded tiles to keep, for a level whose rows of tiles take ``row_bytes``.

    No more than is read again: reusing a small buffer avoids page faults, which took a third of the decoding time with
    256 MiB for a slide 20,000 px wide.
    """
    return min(max(LEAST_CACHE_BYTES, CACHE_ROWS * row_bytes), MOST_CACHE_BYTES)


def _size(tile: Tile) -> int:
    return 0 if isinstance(tile, str) else tile.nbytes
