"""Scores of classes: as scikit-learn gives them, undefined where the data lack a class, bad probabilities refused."""

from __future__ import annotations

import time
import warnings
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torchmetrics")
from pathplugins.classify.scoring.classification import ClassScores, most_confident_mistakes, score_classes
from pathplugins.classify.scoring.resampling import resampling
from pathplugins.core.errors import PathPluginsError

CLASSES = ("breast", "colon", "lung", "skin")


def predictions(classes: int, samples: int = 311) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(classes)
    labels = random.integers(0, classes, samples)
    logits = random.normal(size=(samples, classes)) + 1.2 * np.eye(classes)[labels]
    return labels, (np.exp(logits) / np.exp(logits).sum(1, keepdims=True)).astype(np.float32)


def scored(labels: np.ndarray, probabilities: np.ndarray, **options: Any) -> ClassScores:
    names = [f"{index}.png" for index in range(len(labels))]
    drawn = resampling([f"slide{index % 17}" for index in range(len(labels))], len(labels), **options)
    return score_classes(labels, probabilities, CLASSES[: probabilities.shape[1]], drawn, names)


@pytest.mark.parametrize("classes", [2, 4])
def test_scores_are_those_of_scikit_learn(classes: int) -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    labels, probabilities = predictions(classes)
    predicted = probabilities.argmax(1)
    found = scored(labels, probabilities)
    ranked = probabilities[:, 1] if classes == 2 else probabilities / probabilities.sum(1, keepdims=True)
    expected = {
        "accuracy": sklearn.accuracy_score(labels, predicted),
        "balanced_accuracy": sklearn.balanced_accuracy_score(labels, predicted),
        "auroc": sklearn.roc_auc_score(labels, ranked, multi_class="ovr"),
        "f1_macro": sklearn.f1_score(labels, predicted, average="macro"),
    }
    assert {name: found.metrics[name].value for name in expected} == pytest.approx(expected, abs=1e-6)
    assert np.array_equal(found.confusion, sklearn.confusion_matrix(labels, predicted))
    precision, recall, f1, support = sklearn.precision_recall_fscore_support(labels, predicted)
    for index, row in enumerate(found.per_class):
        values = [row[name].value for name in ("precision", "recall", "f1")]
        assert values == pytest.approx([precision[index], recall[index], f1[index]])
        assert row["samples"] == support[index]
    for name, value in found.metrics.items():
        assert value.low < value.high, name
        if name != "ece":  # which chance moves up
            assert value.low < value.value < value.high, name


def test_intervals_are_those_of_resampling_slides_one_by_one() -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    labels, probabilities = predictions(4)
    slides = np.arange(len(labels)) % 17
    random, values = np.random.default_rng(5), []
    for _ in range(200):
        inside = np.concatenate([np.flatnonzero(slides == slide) for slide in random.integers(0, 17, 17)])
        values.append(sklearn.f1_score(labels[inside], probabilities[inside].argmax(1), average="macro"))
    found = scored(labels, probabilities).metrics["f1_macro"]
    assert [found.low, found.high] == pytest.approx(np.quantile(values, [0.025, 0.975]), abs=0.02)


def test_a_class_that_the_data_lack_is_undefined_and_said() -> None:
    labels, probabilities = predictions(4)
    probabilities, labels = probabilities[labels != 3], labels[labels != 3]
    predicted = probabilities.argmax(1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = scored(labels, probabilities)
    skin = found.per_class[3]
    assert (skin["samples"], skin["predicted"]) == (0, (predicted == 3).sum())
    assert skin["predicted"] > 0
    assert {skin[name].reason for name in ("precision", "recall", "f1", "auroc")} == {"no sample is 'skin'"}
    assert "skin" not in found.curves
    for mean, each in (("balanced_accuracy", "recall"), ("f1_macro", "f1"), ("auroc", "auroc")):
        assert found.metrics[mean].value == pytest.approx(np.mean([row[each].value for row in found.per_class[:3]]))


def test_a_class_that_is_never_predicted_has_no_precision() -> None:
    labels, probabilities = predictions(4)
    probabilities[:, 2] = 0
    found = scored(labels, probabilities / probabilities.sum(1, keepdims=True))
    assert found.per_class[2]["precision"].reason == "'lung' is never predicted"
    assert found.per_class[2]["f1"].value == 0


def test_one_class_alone_has_no_auroc() -> None:
    found = scored(np.ones(5, np.int64), np.tile(np.array([[0.4, 0.6]], np.float32), (5, 1)))
    assert found.metrics["auroc"].value is None
    assert "all samples are 'colon'" in found.metrics["auroc"].reason
    assert found.metrics["accuracy"].value == 1.0
    assert found.curves == {}


@pytest.mark.parametrize("bad", [[np.nan, 0.5], [0.7, 0.7], [-0.5, 1.5]], ids=str)
def test_what_is_no_probability_is_refused_by_name(bad: list[float]) -> None:
    labels, probabilities = predictions(2, samples=9)
    probabilities[4] = bad
    with pytest.raises(PathPluginsError, match=r"1 samples no probabilities[\s\S]*4\.png"):
        scored(labels, probabilities)


def test_labels_of_no_class_are_refused_by_name() -> None:
    labels, probabilities = predictions(2, samples=9)
    labels[7] = -1
    with pytest.raises(PathPluginsError, match=r"7\.png: label -1"):
        scored(labels, probabilities)


def test_mistakes_come_most_confident_first() -> None:
    probabilities = np.array([[0.6, 0.4], [0.1, 0.9], [0.9, 0.1], [0.2, 0.8]], np.float32)
    assert most_confident_mistakes(np.array([1, 0, 0, 0]), probabilities, 9) == [1, 3, 0]
    assert most_confident_mistakes(np.array([1, 0, 0, 0]), probabilities, 2) == [1, 3]


def test_a_thousand_resamples_of_many_samples_are_fast() -> None:
    labels, probabilities = predictions(2, samples=40_000)
    began = time.process_time()
    scored(labels, probabilities)
    assert time.process_time() - began < 10
