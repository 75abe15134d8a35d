"""Pairs of images that show the same: turned, mirrored, cropped by a twentieth or compressed again.

Candidates share one of five parts of their hashes, of 12 or 13 bits each, which all hashes do that differ in four bits;
the images of each pair are then compared. With n images, a part of a hash leads to about n / 8192 others.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .turned import CROPS, ORIENTATIONS, hashes, likeness, turned, waves

ALIKE = 0.85  #: correlation from which two images show the same
FAR = 12  #: bits that the hashes of a candidate may differ in

_PARTS = ((0, 13), (13, 13), (26, 13), (39, 13), (52, 12))  # first bit, bits
_AT_ONCE = 2**20
_COUNTS = np.array([value.bit_count() for value in range(2**16)], np.uint8)


class ImageIndex:
    """Images in which others are looked for."""

    def __init__(self, small: np.ndarray) -> None:
        """Take images [N, SIDE, SIDE] uint8."""
        self._small = small
        self._hashes = hashes_of(small, 0, 0)
        self._orders, self._starts = [], []
        for part in _PARTS:
            codes = _codes(self._hashes, part)
            self._orders.append(np.argsort(codes, kind="stable"))
            self._starts.append(np.concatenate([[0], np.cumsum(np.bincount(codes, minlength=2 ** part[1]))]))

    def find(self, small: np.ndarray) -> np.ndarray:
        """Return the pairs (place among ``small``, place here) of images that show the same, int64 [M, 2], each once.

        ``small`` are looked for in every orientation and crop; images here only as they are, so that an image here
        that shows more than the one looked for is found by looking the other way.
        """
        found = [np.zeros((0, 2), np.int64)]
        for crop in range(len(CROPS)):
            for orientation in range(ORIENTATIONS):
                asked = hashes_of(small, crop, orientation)
                for one, other in self._candidates(asked):
                    alike = self._compared(small, one, other, crop, orientation)
                    found.append(np.stack([one[alike], other[alike]], axis=1))
        return np.unique(np.concatenate(found), axis=0)

    def _candidates(self, asked: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for part, order, starts in zip(_PARTS, self._orders, self._starts, strict=True):
            codes = _codes(asked, part)
            first, counts = starts[codes], starts[codes + 1] - starts[codes]
            ends = np.cumsum(counts)
            begin = 0
            while begin < len(asked):  # as many images as have about `_AT_ONCE` candidates
                before = ends[begin - 1] if begin else 0
                end = max(begin + 1, int(np.searchsorted(ends, before + _AT_ONCE, side="right")))
                one = np.repeat(np.arange(begin, end), counts[begin:end])
                within = np.arange(len(one)) - np.repeat(
                    ends[begin:end] - counts[begin:end] - before, counts[begin:end]
                )
                other = order[first[one] + within]
                near = _distance(asked[one], self._hashes[other]) <= FAR
                yield one[near], other[near]
                begin = end

    def _compared(
        self, small: np.ndarray, one: np.ndarray, other: np.ndarray, crop: int, orientation: int
    ) -> np.ndarray:
        alike = np.zeros(len(one), bool)
        for at in range(0, len(one), 4096):
            block = slice(at, at + 4096)
            mine = turned(waves(small[one[block]], crop), orientation)
            alike[block] = likeness(mine, waves(self._small[other[block]])) >= ALIKE
        return alike


def hashes_of(small: np.ndarray, crop: int, orientation: int) -> np.ndarray:
    """Return the hashes of small images, uint64 [N], a block at a time."""
    blocks = [hashes(turned(waves(small[at : at + 4096], crop), orientation)) for at in range(0, len(small), 4096)]
    return np.concatenate([np.zeros(0, np.uint64), *blocks])


def _codes(values: np.ndarray, part: tuple[int, int]) -> np.ndarray:
    first, bits = part
    return ((values >> np.uint64(first)) & np.uint64(2**bits - 1)).astype(np.int64)


def _distance(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return _COUNTS[(one ^ other).view(np.uint16).reshape(-1, 4)].sum(axis=1)
