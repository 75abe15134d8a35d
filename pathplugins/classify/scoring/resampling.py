"""Bootstrap: resample slides, or samples where no slides are known, by sums that are taken once per unit.

Patches of one slide resemble each other, so that resampling patches would give intervals that are far too narrow: the
unit is the slide. Every metric here is a function of sums over samples; the sums of a resample are the sums per unit
times how often the unit was drawn, one product of matrices for all resamples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pathplugins.core.errors import PathPluginsError

RESAMPLES = 1000
MOST_ROWS = 4096
"""More units than this are drawn in bundles of equal number: the width of the interval stays right, within 2 %, and a
million samples without slides take a matrix of 4096 rows instead of a million."""


@dataclass(frozen=True, kw_only=True)
class Resampling:
    """How often every row of units is drawn in every resample."""

    unit: str
    """``slide`` or ``sample``."""
    units: int
    """How many there are."""
    row: np.ndarray
    """int64 ``[N]``: the row that a sample belongs to; a row is one unit, or a bundle of them."""
    weights: np.ndarray
    """float32 ``[1 + B, R]``: how often a row counts; the first is the data themselves, all ones."""

    def sums(self, category: np.ndarray, categories: int, values: np.ndarray | None = None) -> np.ndarray:
        """Sum ``values``, or count samples, by category: int ``[N]`` -> float64 ``[1 + B, categories]``."""
        rows = self.weights.shape[1]
        place = self.row * categories + category  # [N]
        table = np.bincount(place, weights=values, minlength=rows * categories).reshape(rows, categories)
        if values is None:  # counts below 2^24 are exact in float32, and twice as fast
            exact = category.size < 1 << 23
            return (self.weights @ table.astype(np.float32 if exact else np.float64)).astype(np.float64)
        return self.weights.astype(np.float64) @ table

    def columns(self, values: np.ndarray) -> np.ndarray:
        """Sum columns over samples: ``[N, M]`` -> float64 ``[1 + B, M]``."""
        one = np.zeros(len(values), np.int64)
        return np.concatenate([self.sums(one, 1, column) for column in values.T], axis=1)

    def mean(self, values: np.ndarray) -> np.ndarray:
        """Average over samples: ``[N]`` -> ``[1 + B]``."""
        one = np.zeros(len(values), np.int64)
        return self.sums(one, 1, values)[:, 0] / self.sums(one, 1)[:, 0]

    def note(self) -> str:
        """Say in a sentence what was resampled, and what to know about it."""
        resamples, rows = self.weights.shape[0] - 1, self.weights.shape[1]
        said = f"{resamples:,} resamples of {self.units:,} {self.unit}{'s' if self.units != 1 else ''}"
        if self.unit == "sample":
            said += "; the slides are not known, and patches of one slide would make these intervals too narrow"
        elif self.units < 20:
            said += "; intervals from so few slides tend to be too narrow"
        return said + (f"; drawn in {rows:,} bundles" if rows < self.units else "")


def resampling(groups: Sequence[str] | None, samples: int, *, resamples: int = RESAMPLES, seed: int = 0) -> Resampling:
    """Draw resamples of slides with replacement, or of samples where ``groups`` is None or all are empty.

    Args:
        groups: slide id of every sample; a sample with an empty one is a slide by itself.
        samples: N.
        resamples: B.
        seed: of the draw.
    """
    if not samples:
        raise PathPluginsError("there is no sample to score; name a folder or part that holds pictures")
    random = np.random.default_rng(seed)
    unit, of_sample = "sample", np.arange(samples)
    if groups is not None and any(groups):
        known: dict[str, int] = {}
        ids = (group or f"\0{index}" for index, group in enumerate(groups))  # no id holds a NUL
        unit, of_sample = "slide", np.fromiter((known.setdefault(id_, len(known)) for id_ in ids), np.int64, samples)
    units = int(of_sample.max()) + 1
    rows = min(units, MOST_ROWS)
    row_of_unit = random.permutation(units) % rows if rows < units else np.arange(units)
    drawn = random.integers(0, rows, (resamples, rows)) + np.arange(resamples)[:, None] * rows  # [B, R]
    weights = np.bincount(drawn.reshape(-1), minlength=resamples * rows).reshape(resamples, rows)
    weights = np.concatenate([np.ones((1, rows)), weights]).astype(np.float32)
    return Resampling(unit=unit, units=units, row=row_of_unit[of_sample], weights=weights)
