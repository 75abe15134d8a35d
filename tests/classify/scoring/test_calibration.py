"""Calibration: ECE and Brier as torchmetrics and scikit-learn give them, and bins that add up."""

from __future__ import annotations

import numpy as np
import pytest

from pathplugins.classify.scoring.calibration import BINS, expected_error, reliability, squared_errors
from pathplugins.classify.scoring.resampling import resampling


def predictions(classes: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(classes)
    probabilities = random.dirichlet(np.ones(classes) * 0.5, 301).astype(np.float32)
    return random.integers(0, classes, 301), probabilities


@pytest.mark.parametrize("classes", [2, 5])
def test_the_error_is_that_of_torchmetrics(classes: int) -> None:
    torch = pytest.importorskip("torch")
    functional = pytest.importorskip("torchmetrics.functional.classification")
    labels, probabilities = predictions(classes)
    probabilities[0] = np.eye(classes)[0]  # a confidence of exactly 1
    confidence, right = probabilities.max(1), probabilities.argmax(1) == labels
    theirs = functional.multiclass_calibration_error(
        torch.from_numpy(probabilities), torch.from_numpy(labels), classes, n_bins=BINS, norm="l1"
    )
    assert expected_error(confidence, right, resampling(None, 301, resamples=2))[0] == pytest.approx(
        float(theirs), abs=1e-6
    )


@pytest.mark.parametrize("classes", [2, 5])
def test_the_brier_score_is_that_of_scikit_learn(classes: int) -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    labels, probabilities = predictions(classes)
    mine = squared_errors(labels, probabilities).mean()
    if classes == 2:
        assert mine == pytest.approx(sklearn.brier_score_loss(labels, probabilities[:, 1]), abs=1e-6)
    assert mine * (2 if classes == 2 else 1) == pytest.approx(
        float(((probabilities - np.eye(classes)[labels]) ** 2).sum(1).mean()), abs=1e-6
    )


def test_bins_count_every_sample_and_an_empty_one_has_no_accuracy() -> None:
    bins = reliability(np.array([1.0, 0.95, 0.5], np.float32), np.array([True, False, True]))
    assert [part["samples"] for part in bins] == [0] * 7 + [1] + [0] * 6 + [2]
    assert (bins[14]["from"], bins[14]["to"], bins[14]["accuracy"]) == (14 / 15, 1.0, 0.5)
    assert bins[14]["confidence"] == pytest.approx(0.975)
    assert bins[0]["accuracy"] is None
