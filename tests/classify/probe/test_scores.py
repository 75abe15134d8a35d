"""Scores against counting by hand, and intervals by patient."""

from __future__ import annotations

import numpy as np
import pytest

from pathplugins.classify.probe.scores import mean_of_folds, score


def area(positive: np.ndarray, values: np.ndarray) -> float:
    ahead = values[positive][:, None] - values[~positive][None]
    return float(((ahead > 0) + (ahead == 0) / 2).mean())


def drawn(slides: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(1)
    labels = random.integers(0, classes, slides)
    logits = random.standard_normal((slides, classes)) + np.eye(classes)[labels]
    return labels, np.exp(logits) / np.exp(logits).sum(1, keepdims=True)


@pytest.mark.parametrize("classes", [2, 3])
def test_values_are_those_counted_by_hand(classes: int) -> None:
    labels, probabilities = drawn(61, classes)
    names = ["c", "a", "b"][:classes]
    scores = score(labels, probabilities, names, [f"p{at // 2}" for at in range(61)])
    said = probabilities.argmax(1)
    codes = range(classes)
    areas = [area(labels == code, probabilities[:, code]) for code in codes]
    recalls = [(said[labels == code] == code).mean() for code in codes]
    f1 = [
        2 * ((said == code) & (labels == code)).sum() / ((said == code).sum() + (labels == code).sum())
        for code in codes
    ]
    wanted = {
        "auroc": np.mean(areas),
        "balanced_accuracy": np.mean(recalls),
        "accuracy": (said == labels).mean(),
        "f1_macro": np.mean(f1),
    }
    for name, value in wanted.items():
        measured = scores.metrics[name]
        assert measured.value == pytest.approx(value, abs=1e-12)
        assert measured.low is not None
        assert measured.low < value < measured.high
    assert [scores.class_auroc[name].value for name in names] == pytest.approx(areas)


def test_slides_of_one_patient_widen_the_interval() -> None:
    labels, probabilities = drawn(20, 2)
    labels, probabilities = np.repeat(labels, 8), np.repeat(probabilities, 8, axis=0)
    widths = []
    for groups in ([str(at // 8) for at in range(160)], [str(at) for at in range(160)]):
        measured = score(labels, probabilities, ["a", "b"], groups).metrics["auroc"]
        widths.append(measured.high - measured.low)
    assert widths[0] > 2 * widths[1]


def test_a_fold_without_a_class_has_no_area_and_counts_in_no_mean() -> None:
    labels, probabilities = drawn(30, 2)
    whole = score(labels, probabilities, ["a", "b"], list(map(str, range(30))))
    lacking = score(np.zeros(30, np.int64), probabilities, ["a", "b"], list(map(str, range(30))))
    assert lacking.metrics["auroc"].value is None
    assert "all slides are 'a'" in lacking.metrics["auroc"].reason
    assert lacking.class_auroc["b"].reason == "no slide is 'b'"
    assert mean_of_folds([whole, lacking])["auroc"] == whole.metrics["auroc"].value
    assert mean_of_folds([lacking])["auroc"] is None
