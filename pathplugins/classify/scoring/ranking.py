"""ROC curves and the area under them, with resamples by ranks."""

from __future__ import annotations

from typing import Any

import numpy as np

from pathplugins.classify.scoring.measure import divided
from pathplugins.classify.scoring.resampling import Resampling
from pathplugins.core.optional import need

PLACES = 1024
"""Scores are ranked exactly up to this many different ones; beyond, resamples (not the value) rank them by quantile."""
POINTS = 200
"""Of a ROC curve as it is drawn and written."""


def auroc(positive: np.ndarray, scores: np.ndarray, drawn: Resampling) -> np.ndarray:
    """Return the area under the ROC curve on the data and on every resample.

    Args:
        positive: bool ``[N]``.
        scores: float32 ``[N]`` in 0..1; ties count half.
        drawn: the resamples.

    Returns:
        float64 ``[1 + B]``; NaN where all samples, or none, are positive.
    """
    place, places, exact = _places(scores)
    sums = drawn.sums(place * 2 + positive, places * 2).reshape(-1, places, 2)  # [1 + B, P, 2]
    negatives, positives = sums[..., 0], sums[..., 1]
    below = np.cumsum(negatives, axis=1) - negatives  # [1 + B, P]: negatives that rank lower
    areas = divided((positives * (below + negatives / 2)).sum(1), positives.sum(1) * negatives.sum(1))
    if not exact and np.isfinite(areas[0]):
        areas += float(_functions().binary_auroc(*_tensors(positive, scores))) - areas[0]
    return areas


def roc(positive: np.ndarray, scores: np.ndarray) -> list[tuple[float, float]] | None:
    """Return at most about ``POINTS`` points (false positive rate, true positive rate); None without both kinds."""
    if positive.all() or not positive.any():
        return None
    wrong, right, _ = _functions().binary_roc(*_tensors(positive, scores))
    along = np.stack([wrong.double().numpy(), right.double().numpy()], axis=1)  # [T, 2]
    length = along.sum(1) / along[-1].sum() * POINTS  # both rise: how far along the curve, in points
    kept = np.flatnonzero(np.diff(np.floor(length), prepend=-1.0) > 0)
    return [(float(x), float(y)) for x, y in along[np.union1d(kept, [len(along) - 1])]]


def _places(scores: np.ndarray) -> tuple[np.ndarray, int, bool]:
    """Rank scores, equal ones alike: int64 ``[N]``, how many ranks there are, and whether they tell all apart."""
    different, place = np.unique(scores, return_inverse=True)
    if different.size > PLACES:
        edges = np.unique(np.quantile(scores, np.linspace(0, 1, PLACES)[1:-1], method="nearest"))
        return np.searchsorted(edges, scores, side="right"), edges.size + 1, False
    return place.reshape(-1), different.size, True


def _functions() -> Any:
    return need("torchmetrics.functional.classification", extra="patchtcga")


def _tensors(positive: np.ndarray, scores: np.ndarray) -> tuple[Any, Any]:
    import torch

    # float64: areas of a million samples are sums of a million terms
    return torch.from_numpy(scores.astype(np.float64)), torch.from_numpy(positive.astype(np.int64))
