"""Calibration: whether a class given 80 % is right in 80 % of the cases."""

from __future__ import annotations

from typing import Any

import numpy as np

from pathplugins.classify.scoring.measure import divided
from pathplugins.classify.scoring.resampling import Resampling

BINS = 15
"""Equal in width, ``[low, high)``; the usual number (Guo et al., 2017)."""


def bin_of(confidence: np.ndarray) -> np.ndarray:
    """Return the bin of every confidence in 0..1: ``[N]`` -> int64 ``[N]``; 1 belongs to the last."""
    return np.minimum((confidence.astype(np.float64) * BINS).astype(np.int64), BINS - 1)


def expected_error(confidence: np.ndarray, right: np.ndarray, drawn: Resampling) -> np.ndarray:
    """Return the expected calibration error of the class that was chosen.

    That is the gap between mean confidence and share of right answers, averaged over bins by their samples.

    Args:
        confidence: float32 ``[N]``, the probability of the chosen class.
        right: bool ``[N]``.
        drawn: the resamples.

    Returns:
        float64 ``[1 + B]``. It cannot be below 0, so that chance moves it up: its interval lies high on few samples.
    """
    gap = confidence.astype(np.float64) - right
    place = bin_of(confidence)
    return np.abs(drawn.sums(place, BINS, gap)).sum(1) / drawn.sums(place, BINS).sum(1)


def reliability(confidence: np.ndarray, right: np.ndarray) -> list[dict[str, Any]]:
    """Return the bins of the reliability diagram; ``confidence`` and ``accuracy`` are None in an empty bin."""
    place = bin_of(confidence)
    samples = np.bincount(place, minlength=BINS)
    means = [
        divided(np.bincount(place, weights=values, minlength=BINS), samples)
        for values in (confidence.astype(np.float64), right.astype(np.float64))
    ]
    return [
        {
            "from": index / BINS,
            "to": (index + 1) / BINS,
            "samples": int(samples[index]),
            "confidence": float(means[0][index]) if samples[index] else None,
            "accuracy": float(means[1][index]) if samples[index] else None,
        }
        for index in range(BINS)
    ]


def squared_errors(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return what the Brier score averages: the squared distance of probabilities from the truth.

    With two classes half of it, which is the usual squared error of one class's probability.

    Args:
        labels: int ``[N]``.
        probabilities: float32 ``[N, K]``.

    Returns:
        float64 ``[N]``.
    """
    at = np.arange(len(labels))
    norm = np.einsum("nk,nk->n", probabilities, probabilities, dtype=np.float64)
    errors = norm - 2.0 * probabilities[at, labels].astype(np.float64) + 1.0  # |p - e|^2 = |p|^2 - 2 p_e + 1
    return errors / 2 if probabilities.shape[1] == 2 else errors
