"""Shingles of captions: hashes of three words in a row, and the MinHash keys under which similar captions meet.

The Jaccard similarity of two captions is the share of their shingles that both have. The smallest value of a random
function over the shingles is the same for both with that probability; a key joins ``PER_BAND`` such minima, and a
caption has ``BANDS`` keys, so that of captions with similarity 0.9 one pair in 40,000 shares none. Words are runs of
letters and digits in lower case; bytes beyond ASCII count as letters.

All captions of a block are hashed at once: with S(j) the sum of byte_i * B^i for i < j, modulo 2^64, the polynomial
hash of the bytes from s to e is (S(e) - S(s)) * B^-s, which exists because B is odd.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

WIDTH = 3  #: words of a shingle
BANDS, PER_BAND = 12, 5

_BASE = 0x9E3779B97F4A7C15 | 1
_INVERSE = pow(_BASE, -1, 2**64)
_STEPS = np.array([0xD6E8FEB86659FD93, 0xA0761D6478BD642F, 0xE7037ED1A0B428DB], np.uint64)
_LETTERS = np.zeros(256, np.uint64)
_LETTERS[ord("0") : ord("9") + 1] = np.arange(ord("0"), ord("9") + 1)
_LETTERS[ord("a") : ord("z") + 1] = _LETTERS[ord("A") : ord("Z") + 1] = np.arange(ord("a"), ord("z") + 1)
_LETTERS[128:] = np.arange(128, 256)
_DRAWN = np.random.Generator(np.random.PCG64(20)).integers(0, 2**32, (2, BANDS, PER_BAND), np.uint32)
_FACTORS, _OFFSETS = _DRAWN[0] | np.uint32(1), _DRAWN[1]  # x -> factor * x + offset orders all uint32 anew


class Shingles(NamedTuple):
    """Shingles of N captions."""

    exact: np.ndarray
    """[N] uint64, hash of all words in order; 0 without any."""
    counts: np.ndarray
    """[N] int32, distinct shingles of each; 0 without words."""
    values: np.ndarray
    """[sum of counts] uint32, ascending within a caption."""
    keys: np.ndarray
    """[N, BANDS] uint64; 0 without words."""


def shingle(captions: Sequence[str]) -> Shingles:
    """Hash a block of captions."""
    n = len(captions)
    words, owner = _words(captions)  # [W] both
    per_caption = np.bincount(owner, minlength=n)  # [N]
    starts = np.concatenate([[0], np.cumsum(per_caption)])  # [N + 1]
    exact = np.zeros(n, np.uint64)
    if len(words):
        place = (np.arange(len(words)) - starts[owner]).astype(np.uint64)
        said = np.flatnonzero(per_caption)
        exact[said] = np.add.reduceat(_mixed(words + place * _STEPS[0]), starts[said])
    padded = np.concatenate([words, np.zeros(WIDTH, np.uint64)])
    ends = starts[1:][owner]  # [W]
    total = np.zeros(len(words), np.uint64)
    for offset in range(WIDTH):
        at = np.arange(len(words)) + offset
        total += np.where(at < ends, padded[at], 0) * _STEPS[offset]
    first = np.arange(len(words)) == starts[owner]
    whole = (np.arange(len(words)) + WIDTH <= ends) | first  # a caption of fewer words is one shingle
    joined = (owner[whole].astype(np.uint64) << np.uint64(32)) | (_mixed(total[whole]) >> np.uint64(32))
    joined.sort()
    joined = joined[np.diff(joined, prepend=np.uint64(2**64 - 1)) != 0]  # np.unique takes five times as long
    values, owner = joined.astype(np.uint32), (joined >> np.uint64(32)).astype(np.int64)
    counts = np.bincount(owner, minlength=n).astype(np.int32)
    return Shingles(exact, counts, values, _keys(values, counts))


def _words(captions: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return the hash of every word, and the caption it belongs to."""
    lines = [caption.encode("utf-8", "surrogatepass") for caption in captions]
    text = _LETTERS[np.frombuffer(b"\n".join(lines) + b"\n", np.uint8)]  # [bytes]
    ends_of_lines = np.cumsum([len(line) + 1 for line in lines])
    powers, inverses = _powers(_BASE, len(text)), _powers(_INVERSE, len(text))
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(text * powers, dtype=np.uint64)])
    inside = np.concatenate([[False], text != 0, [False]])
    edges = np.flatnonzero(inside[1:] != inside[:-1])
    starts, ends = edges[::2], edges[1::2]
    owner = np.searchsorted(ends_of_lines, starts, side="right")
    return _mixed((sums[ends] - sums[starts]) * inverses[starts]), owner


def _powers(base: int, count: int) -> np.ndarray:
    powers = np.full(count, base, np.uint64)
    powers[:1] = 1
    return np.multiply.accumulate(powers)


def _keys(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    keys = np.zeros((len(counts), BANDS), np.uint64)
    said = np.flatnonzero(counts)
    if not len(said):
        return keys
    starts = (np.cumsum(counts) - counts)[said]
    for band in range(BANDS):
        key = np.full(len(said), band, np.uint64)
        for factor, offset in zip(_FACTORS[band], _OFFSETS[band], strict=True):
            least = np.minimum.reduceat(values * factor + offset, starts)
            key = _mixed(key * _STEPS[1] + least)
        keys[said, band] = key
    return keys


def _mixed(value: np.ndarray) -> np.ndarray:
    """Spread every bit of uint64 values over all others (the finish of SplitMix64)."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))
