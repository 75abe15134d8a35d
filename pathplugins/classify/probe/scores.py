"""Scores of a probe's predictions, with intervals by resampling patients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pathplugins.classify.scoring.measure import Measure, divided, mean_of_defined, measure
from pathplugins.classify.scoring.ranking import auroc
from pathplugins.classify.scoring.resampling import resampling

METRICS = {
    "auroc": "AUROC",
    "balanced_accuracy": "balanced accuracy",
    "accuracy": "accuracy",
    "f1_macro": "F1",
}
"""Name -> how a table writes it; AUROC (of three classes and more) and F1 are means over classes against the rest."""


class Scores(NamedTuple):
    """What predictions are worth."""

    metrics: dict[str, Measure]
    """By the names of ``METRICS``."""
    class_auroc: dict[str, Measure]
    """Class -> AUROC against the rest; with two classes both have one."""


def score(labels: np.ndarray, probabilities: np.ndarray, classes: Sequence[str], groups: Sequence[str]) -> Scores:
    """Score probabilities against labels; classes that the labels lack have no score and count in no mean.

    Args:
        labels: int64 [S], 0..K-1.
        probabilities: float64 [S, K].
        classes: K names.
        groups: Patient of each slide, which is resampled with all its slides.
    """
    k, predicted, drawn = len(classes), probabilities.argmax(1), resampling(groups, len(labels))
    truth, said = drawn.sums(labels, k), drawn.sums(predicted, k)  # [1 + B, K]
    hits = drawn.sums(np.where(predicted == labels, labels, k), k + 1)[:, :k]  # [1 + B, K]; column k counts mistakes
    there = np.where(truth > 0, 1.0, np.nan)
    if k == 2:
        areas = np.repeat(auroc(labels == 1, probabilities[:, 1], drawn)[:, None], 2, axis=1)
    else:
        areas = np.stack([auroc(labels == each, probabilities[:, each], drawn) for each in range(k)], axis=1)
    values = {
        "auroc": mean_of_defined(areas),
        "balanced_accuracy": mean_of_defined(divided(hits, truth)),
        "accuracy": hits.sum(1) / truth.sum(1),
        "f1_macro": mean_of_defined(divided(2 * hits, truth + said) * there),
    }
    alone = f"all slides are {classes[int(truth[0].argmax())]!r}; it needs two classes"
    lacks = [alone if truth[0, each] else f"no slide is {name!r}" for each, name in enumerate(classes)]
    return Scores(
        metrics={name: measure(values[name], drawn.units, alone) for name in METRICS},
        class_auroc={name: measure(areas[:, each], drawn.units, lacks[each]) for each, name in enumerate(classes)},
    )


def mean_of_folds(folds: Sequence[Scores]) -> dict[str, float | None]:
    """Return the mean of every metric over the folds that define it; None where none does."""
    means: dict[str, float | None] = {}
    for name in METRICS:
        values = [value for fold in folds if (value := fold.metrics[name].value) is not None]
        means[name] = float(np.mean(values)) if values else None
    return means
