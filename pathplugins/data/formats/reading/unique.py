"""Make ids unique: record which ids of a source repeat while it is read, at eight bytes each."""

from __future__ import annotations

from array import array
from pathlib import Path

_FIRST_LOOK = 4096


class IdsRepeat(Exception):
    """Ids that were used as unique turned out to repeat; the next pass over the stream takes that into account."""


class IdBook:
    """The ids of a source.

    The first pass assumes that ids are unique, which makes a second pass unnecessary in most cases. Ids are compared by
    64 bits of hash: among ten million, the chance that one is needlessly marked with its row is one in 400,000.
    """

    def __init__(self) -> None:
        self.complete = False
        """Whether all ids have been read."""
        self.hashes = array("q")
        self._next_look = _FIRST_LOOK
        self._repeated: frozenset[int] = frozenset()
        self._source: str | None = None
        self._several = self.marked = False

    def add(self, name: str, source: str | None) -> bool:
        """Add an id, with its file if its row is kept; return False if ids used before are wrong."""
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
        """Add the hashes of another book of the same file."""
        self.hashes.extend(hashes)

    def close(self) -> bool:
        """Declare that all ids have been read; return False if ids used before are wrong."""
        self._repeated, self.complete = self._repeats(), True
        return not self._repeated and not (self._several and self.marked)

    def unique(self, name: str, source: str, row: int) -> str:
        """Return the id, with ``#`` and its row (``#file:row`` for several files) if it repeats or contains a ``#``."""
        if "#" not in name and not self.repeats(name):
            return name
        self.marked = self.marked or not self.complete
        return f"{name}#{Path(source).name}:{row}" if self._several else f"{name}#{row}"

    def repeats(self, name: str) -> bool:
        """Return whether an id stands in more than one row."""
        return bool(self._repeated) and hash(name) in self._repeated

    def _repeats(self) -> frozenset[int]:
        import numpy as np

        ordered = np.sort(np.frombuffer(self.hashes, np.int64)) if self.hashes else np.zeros(0, np.int64)
        return frozenset(ordered[1:][ordered[1:] == ordered[:-1]].tolist())
