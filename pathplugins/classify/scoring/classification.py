"""Score classes: accuracy, F1, AUROC, calibration, each with its interval, all of them and class by class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pathplugins.classify.scoring.calibration import expected_error, reliability, squared_errors
from pathplugins.classify.scoring.measure import Measure, divided, mean_of_defined, measure
from pathplugins.classify.scoring.ranking import auroc, roc
from pathplugins.classify.scoring.resampling import Resampling
from pathplugins.core.errors import PathPluginsError
from pathplugins.data.records import first_shown

_SUM_TO_ONE = 1e-3


@dataclass(frozen=True, kw_only=True)
class ClassScores:
    """What a model's probabilities are worth."""

    metrics: dict[str, Measure]
    per_class: list[dict[str, Any]]
    """One per class: ``name``, ``samples``, ``predicted`` (counts) and measures ``precision``, ``recall``, ``f1``,
    ``auroc`` (this class against the rest)."""
    confusion: np.ndarray
    """int64 ``[K, K]``: rows are the truth, columns the predictions."""
    curves: dict[str, list[tuple[float, float]]]
    """Class -> points of its ROC curve; with two classes that of the second alone."""
    bins: list[dict[str, Any]]
    """Of the reliability diagram."""


def score_classes(
    labels: np.ndarray, probabilities: np.ndarray, classes: Sequence[str], drawn: Resampling, names: Sequence[str]
) -> ClassScores:
    """Score probabilities against labels.

    Args:
        labels: int64 ``[N]``, each in 0..K-1.
        probabilities: float32 ``[N, K]``, rows sum to 1.
        classes: K names.
        drawn: the resamples.
        names: N names of samples, for errors.

    Raises:
        PathPluginsError: probabilities that are none, with the samples they are of; labels of no class.
    """
    _check(labels, probabilities, classes, names)
    k, predicted = len(classes), probabilities.argmax(1)
    right = predicted == labels
    truth, said = drawn.sums(labels, k), drawn.sums(predicted, k)  # [1 + B, K]
    hits = drawn.sums(np.where(right, labels, k), k + 1)[:, :k]  # [1 + B, K]; the last column counts mistakes
    there = np.where(truth > 0, 1.0, np.nan)  # of a class that the data lack nothing is measured
    recall, precision, f1 = divided(hits, truth), divided(hits, said) * there, divided(2 * hits, truth + said) * there
    areas = _areas(labels, probabilities, drawn)  # [1 + B, K]
    confidence = probabilities[np.arange(len(labels)), predicted]
    values = {
        "accuracy": hits.sum(1) / truth.sum(1),
        "balanced_accuracy": mean_of_defined(recall),
        "auroc": mean_of_defined(areas),
        "f1_macro": mean_of_defined(f1),
        "ece": expected_error(confidence, right, drawn),
        "brier": drawn.mean(squared_errors(labels, probabilities)),
    }
    rows = _per_class(classes, truth, said, {"precision": precision, "recall": recall, "f1": f1, "auroc": areas}, drawn)
    curved = [1] if k == 2 else range(k)
    points = {classes[index]: roc(labels == index, probabilities[:, index]) for index in curved}
    return ClassScores(
        metrics={name: measure(value, drawn.units, _alone(classes, truth)) for name, value in values.items()},
        per_class=rows,
        confusion=np.bincount(labels * k + predicted, minlength=k * k).reshape(k, k),
        curves={name: curve for name, curve in points.items() if curve},
        bins=reliability(confidence, right),
    )


def most_confident_mistakes(labels: np.ndarray, probabilities: np.ndarray, most: int) -> list[int]:
    """Return the positions of wrong predictions, the most confident first, at most ``most``."""
    predicted = probabilities.argmax(1)
    wrong = np.flatnonzero(predicted != labels)
    order = np.argsort(-probabilities[wrong, predicted[wrong]], kind="stable")
    return [int(index) for index in wrong[order[:most]]]


def _per_class(
    classes: Sequence[str], truth: np.ndarray, said: np.ndarray, values: Mapping[str, np.ndarray], drawn: Resampling
) -> list[dict[str, Any]]:
    """Return the rows of ``ClassScores.per_class`` from counts and values, each ``[1 + B, K]``."""
    rows = []
    for index, name in enumerate(classes):
        reasons = dict.fromkeys(values, f"no sample is {name!r}")
        if truth[0, index]:
            reasons = {"precision": f"{name!r} is never predicted", "auroc": _alone(classes, truth)}
        counted = {"name": name, "samples": int(truth[0, index]), "predicted": int(said[0, index])}
        measures = {key: measure(each[:, index], drawn.units, reasons.get(key, "")) for key, each in values.items()}
        rows.append({**counted, **measures})
    return rows


def _alone(classes: Sequence[str], truth: np.ndarray) -> str:
    """Say why there is no ROC curve: there is one class in the data."""
    return f"all samples are {classes[int(truth[0].argmax())]!r}; it needs two classes in the data"


def _areas(labels: np.ndarray, probabilities: np.ndarray, drawn: Resampling) -> np.ndarray:
    """Return the AUROC of every class against the rest, ``[1 + B, K]``; two classes have one in common."""
    k = probabilities.shape[1]
    if k == 2:
        return np.repeat(auroc(labels == 1, probabilities[:, 1], drawn)[:, None], 2, axis=1)
    return np.stack([auroc(labels == index, probabilities[:, index], drawn) for index in range(k)], axis=1)


def _check(labels: np.ndarray, probabilities: np.ndarray, classes: Sequence[str], names: Sequence[str]) -> None:
    k = len(classes)
    if k < 2:
        raise PathPluginsError(f"there is one class, {[*classes]}; expected two or more to tell apart")
    if probabilities.shape != (len(labels), k):
        raise PathPluginsError(f"probabilities are {probabilities.shape}, expected {(len(labels), k)}")
    foreign = np.flatnonzero((labels < 0) | (labels >= k))
    if foreign.size:
        faults = first_shown([f"{names[index]}: label {labels[index]}" for index in foreign])
        raise PathPluginsError(f"{foreign.size} samples have a label that is none of 0..{k - 1}:\n{faults}")
    off = np.abs(probabilities.sum(1, dtype=np.float64) - 1) < _SUM_TO_ONE
    bad = np.flatnonzero(~(off & (probabilities.min(1) >= 0)))  # also NaN, which is no number's equal
    if bad.size:
        faults = first_shown([f"{names[index]}: {probabilities[index].tolist()}" for index in bad])
        raise PathPluginsError(
            f"the model gives {bad.size} samples no probabilities (numbers of 0 or more that sum to 1):\n{faults}\n"
            "a run that diverged gives such numbers; evaluate an earlier checkpoint"
        )
