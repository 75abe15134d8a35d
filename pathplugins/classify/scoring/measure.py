"""A number with its interval, or the reason why there is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

LEVEL = 0.95


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A metric on the data: defined with an interval, defined without one, or undefined."""

    value: float | None
    low: float | None = None
    high: float | None = None
    """Ends of the 95 % percentile interval; None where it cannot be taken."""
    reason: str = ""
    """Why ``value``, or else the interval, is None."""

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON holds it: ``value``, ``low``, ``high`` and, where something is undefined, the reason."""
        told: dict[str, Any] = {"value": self.value, "low": self.low, "high": self.high}
        return {**told, "undefined" if self.value is None else "no_interval": self.reason} if self.reason else told


def undefined(reason: str) -> Measure:
    """Return a metric that the data do not define."""
    return Measure(value=None, reason=reason)


def measure(values: np.ndarray, units: int, undefined_because: str = "") -> Measure:
    """Return the first of ``values`` with the percentile interval of the others.

    Args:
        values: float ``[1 + B]``: on the data, then on B resamples; NaN where undefined. A resample that lacks a class
            altogether defines no value for it and is left out of the percentiles.
        units: how many slides, or samples, were resampled.
        undefined_because: the reason to give when the first is NaN.
    """
    value, resampled = float(values[0]), values[1:][np.isfinite(values[1:])]
    if not np.isfinite(value):
        return undefined(undefined_because or "the data do not define it")
    if units < 2:
        return Measure(value=value, reason="no interval: it needs two slides or samples")
    if resampled.size < max(1, (values.size - 1) / 2):
        return Measure(value=value, reason="no interval: most resamples lack the class")
    if np.ptp(resampled) == 0:  # as with no mistake at all: an interval without width would promise too much
        return Measure(value=value, reason="no interval: the same on every resample")
    low, high = np.quantile(resampled, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Measure(value=value, low=float(low), high=float(high))


def divided(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Divide elementwise, NaN where ``below`` is 0; float64."""
    shape = np.broadcast_shapes(above.shape, below.shape)
    return np.divide(above, below, out=np.full(shape, np.nan), where=below != 0)


def mean_of_defined(values: np.ndarray) -> np.ndarray:
    """Average over the last axis, leaving out NaN; NaN where all are. ``[..., K]`` -> ``[...]``."""
    defined = np.isfinite(values)
    return divided(np.where(defined, values, 0.0).sum(-1), defined.sum(-1))
