"""Logistic regression on the mean of each bag, its penalty chosen on the validation part."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

PENALTIES = (10.0, 1.0, 0.1, 0.01, 0.001)
"""Of the squared weights, beside the mean cross-entropy; the strongest of equal ones is taken."""


def fit_means(
    means: np.ndarray, labels: np.ndarray, classes: int, train: np.ndarray, valid: np.ndarray
) -> tuple[Tensor, float]:
    """Fit on the slides of ``train`` and choose the penalty on those of ``valid``.

    Args:
        means: float64 [S, D], mean features of every slide.
        labels: int64 [S], 0..K-1.
        classes: K.
        train: Places of slides.
        valid: Places of slides.

    Returns:
        The probabilities of all slides, float64 [S, K], and the penalty.
    """
    centre, spread = means[train].mean(0), means[train].std(0)
    scaled = (means - centre) / np.where(spread > 1e-12 * np.abs(centre), spread, 1.0)
    x, y = torch.from_numpy(scaled), torch.from_numpy(labels)
    best: tuple[float, Tensor, float] | None = None
    for penalty in PENALTIES:
        weights, bias = _solve(x[train], y[train], classes, penalty)
        logits = x @ weights.T + bias  # [S, K]
        loss = float(F.cross_entropy(logits[valid], y[valid]))
        if best is None or loss < best[0]:
            best = loss, logits.softmax(1), penalty
    assert best is not None  # there are penalties
    return best[1], best[2]


def _solve(x: Tensor, y: Tensor, classes: int, penalty: float) -> tuple[Tensor, Tensor]:
    """Return weights [K, D] and bias [K] of the smallest penalised cross-entropy; convex, so the start is no matter."""
    weights = torch.zeros(classes, x.shape[1], dtype=x.dtype, requires_grad=True)
    bias = torch.zeros(classes, dtype=x.dtype, requires_grad=True)
    solver = torch.optim.LBFGS(
        [weights, bias], max_iter=200, tolerance_grad=1e-7, tolerance_change=1e-12, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        solver.zero_grad()
        loss = F.cross_entropy(x @ weights.T + bias, y) + penalty / 2 * weights.square().sum()
        loss.backward()
        return loss

    solver.step(closure)
    return weights.detach(), bias.detach()
