"""Groups of equal and of similar captions: union-find over captions that share a key, each join confirmed."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator

import numpy as np

from .shingles import BANDS, Shingles

NEAR = 0.9  #: Jaccard similarity of shingles from which captions count as the same
_LEADERS = 64
_KEPT = 256  # sets, made of their arrays once while they are compared with many


class Groups:
    """Union-find over the numbers below ``n``; a group is named after its lowest member."""

    def __init__(self, n: int) -> None:
        self._parents = [*range(n)]

    def of(self, member: int) -> int:
        """Return the lowest member of the group."""
        parents = self._parents
        while parents[member] != member:
            parents[member] = member = parents[parents[member]]
        return member

    def join(self, one: int, other: int) -> None:
        """Make one group of two."""
        low, high = sorted((self.of(one), self.of(other)))
        self._parents[high] = low

    def all(self) -> np.ndarray:
        """Return the group of every number, int64 [N]."""
        return np.fromiter(map(self.of, range(len(self._parents))), np.int64, len(self._parents))


def first_with(values: np.ndarray) -> np.ndarray:
    """Return for each value the place of the first that equals it, int64 [N]."""
    _, first, inverse = np.unique(values, return_index=True, return_inverse=True)
    return first[inverse.reshape(-1)]


def near_captions(shingles: Shingles, exact: np.ndarray) -> tuple[np.ndarray, int]:
    """Join captions that share at least ``NEAR`` of their shingles, directly or through others.

    In a set of captions with one key, each is compared with at most 64 that differ from one another, so that a million
    captions of one template take no million comparisons each.

    Args:
        shingles: Of N captions.
        exact: [N], from `first_with`; equal captions are compared once.

    Returns:
        [N] the first caption of the group of each, and the number of times that one met more than 64.
    """
    groups = Groups(len(exact))
    for place in np.flatnonzero(exact != np.arange(len(exact))).tolist():
        groups.join(int(exact[place]), place)
    sets = Sets(shingles)
    distinct = np.flatnonzero((exact == np.arange(len(exact))) & (shingles.counts > 0))
    missed = 0

    for band in range(BANDS):
        for members in runs_of_equal(shingles.keys[distinct, band], distinct):
            leaders: list[int] = []
            for member in members:
                root = groups.of(member)
                if any(groups.of(lead) == root for lead in leaders):
                    continue  # as in most bands but the first in which the two meet
                hit = next((lead for lead in leaders if alike(sets[member], sets[lead])), None)
                if hit is not None:
                    groups.join(hit, member)
                elif len(leaders) < _LEADERS:
                    leaders.append(member)
                else:
                    missed += 1
    return groups.all(), missed


class Sets:
    """The shingles of captions by number, as sets."""

    def __init__(self, shingles: Shingles) -> None:
        self._values, self._counts = shingles.values, shingles.counts
        self._ends = np.cumsum(shingles.counts, dtype=np.int64)
        self._recent = functools.lru_cache(_KEPT)(self._read)

    def __getitem__(self, number: int) -> frozenset[int]:
        return self._recent(number)

    def _read(self, number: int) -> frozenset[int]:
        end = int(self._ends[number])
        return frozenset(self._values[end - int(self._counts[number]) : end].tolist())


def alike(one: frozenset[int], other: frozenset[int]) -> bool:
    """Return whether two sets of shingles are similar enough."""
    common = len(one & other)
    return common >= NEAR * (len(one) + len(other) - common)


def runs_of_equal(keys: np.ndarray, places: np.ndarray) -> Iterator[Iterable[int]]:
    """Yield the places, ascending, of each key that stands more than once."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    edges = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1], [True]]))
    for at in np.flatnonzero(np.diff(edges) > 1).tolist():
        yield places[order[edges[at] : edges[at + 1]]].tolist()
