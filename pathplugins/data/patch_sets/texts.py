"""Many short texts in few bytes: names of a million patches without an object for each."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from typing import overload

import numpy as np


class Texts(Sequence[str]):
    """Texts of one UTF-8 buffer; picked ones share it."""

    def __init__(self, data: bytes, starts: np.ndarray, ends: np.ndarray) -> None:
        """Hold the texts ``data[starts[i]:ends[i]]``; both int64 [N]."""
        self._data, self._starts, self._ends = data, starts, ends

    def take(self, indices: np.ndarray) -> Texts:
        """Return the texts at ``indices``, int64 [M]."""
        return Texts(self._data, self._starts[indices], self._ends[indices])

    def __len__(self) -> int:
        return len(self._starts)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Texts: ...
    def __getitem__(self, index: int | slice) -> str | Texts:
        if isinstance(index, slice):
            return Texts(self._data, self._starts[index], self._ends[index])
        return self._data[self._starts[index] : self._ends[index]].decode()

    def __iter__(self) -> Iterator[str]:
        data = self._data
        for start, end in zip(self._starts.tolist(), self._ends.tolist(), strict=True):
            yield data[start:end].decode()


class TextsBuilder:
    """Collects texts, given as bytes."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._ends = array("q", [0])

    def add(self, text: bytes) -> None:
        """Append a text of UTF-8."""
        self._data += text
        self._ends.append(len(self._data))

    def build(self) -> Texts:
        """Return the texts added so far."""
        bounds = np.array(self._ends, np.int64)
        return Texts(bytes(self._data), bounds[:-1], bounds[1:])


class Coded(Sequence[str]):
    """Texts of which there are few different ones: a number for each, and the text of each number."""

    def __init__(self, values: Sequence[str], codes: np.ndarray) -> None:
        """Hold the texts ``values[codes[i]]``; ``codes`` is int32 [N]."""
        self.values = tuple(values)
        """The different texts, by number."""
        self.codes = codes
        """The number of each text, int32 [N]."""

    @classmethod
    def of(cls, texts: Sequence[str]) -> Coded:
        """Give a number to each different text, in order of appearance."""
        numbers: dict[str, int] = {}
        codes = np.fromiter((numbers.setdefault(text, len(numbers)) for text in texts), np.int32, len(texts))
        return cls(tuple(numbers), codes)

    def take(self, indices: np.ndarray) -> Coded:
        """Return the texts at ``indices``, int64 [M]."""
        return Coded(self.values, self.codes[indices])

    def where(self, value: str) -> np.ndarray:
        """Return the places of a text, int64 [M]."""
        if value not in self.values:
            return np.zeros(0, np.int64)
        return np.flatnonzero(self.codes == self.values.index(value))

    def __len__(self) -> int:
        return len(self.codes)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Coded: ...
    def __getitem__(self, index: int | slice) -> str | Coded:
        return Coded(self.values, self.codes[index]) if isinstance(index, slice) else self.values[self.codes[index]]

    def __iter__(self) -> Iterator[str]:
        values = self.values
        return (values[code] for code in self.codes.tolist())
