"""Unique ids: which ids of a source repeat, learnt while its records go by, at eight bytes each."""

from __future__ import annotations

from array import array
from pathlib import Path

_FIRST_LOOK = 4096


class IdsRepeat(Exception):
    """Ids turned out to repeat that had been given out as unique; the next pass over the stream knows them."""


class IdBook:
    """The ids of a source.

    The first pass takes ids to be unique until they are not, which saves the second one in most cases. Ids are told
    apart by 64 bits of hash: for ten million, the chance that one gets its row for nothing is one in 400,000.
    """

    def __init__(self) -> None:
        self.complete = False
        """A pass has seen all of them."""
        self.hashes = array("q")
        self._next_look = _FIRST_LOOK
        self._repeated: frozenset[int] = frozenset()
        self._source: str | None = None
        self._several = self.marked = False

    def add(self, name: str, source: str | None) -> bool:
        """Note an id, and the file it is in if its row is wanted; False if ids given out before are wrong."""
        self.hashes.append(hash(name))
        right = True
        if source is not self._source and source is not None and source != self._source:
            if self._source is not None:
                self._several, right = True, not self.marked
            self._source = source
        if len(self.hashes) >= self._next_look:
            self._next_look *= 2
            right = right and not self._repeats()
        return right

    def extend(self, hashes: array[int]) -> None:
        """Note what another book of the same file has seen."""
        self.hashes.extend(hashes)

    def close(self) -> bool:
        """All ids have been seen; False if some that were given out are wrong."""
        self._repeated, self.complete = self._repeats(), True
        return not self._repeated and not (self._several and self.marked)

    def unique(self, name: str, source: str, row: int) -> str:
        """The id, with ``#`` and its row (``#file:row`` where several files were read) if it repeats or has a ``#``."""
        if "#" not in name and not self.repeats(name):
            return name
        self.marked = self.marked or not self.complete
        return f"{name}#{Path(source).name}:{row}" if self._several else f"{name}#{row}"

    def repeats(self, name: str) -> bool:
        """Whether it stands in more than one row."""
        return bool(self._repeated) and hash(name) in self._repeated

    def _repeats(self) -> frozenset[int]:
        import numpy as np

        ordered = np.sort(np.frombuffer(self.hashes, np.int64)) if self.hashes else np.zeros(0, np.int64)
        return frozenset(ordered[1:][ordered[1:] == ordered[:-1]].tolist())
