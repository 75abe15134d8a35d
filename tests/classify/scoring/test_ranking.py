"""AUROC: equal to scikit-learn's on data with ties, resample by resample; undefined with one kind of sample."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torchmetrics")
from pathplugins.classify.scoring.ranking import POINTS, auroc, roc
from pathplugins.classify.scoring.resampling import resampling


def scored(samples: int, *, decimals: int = 7) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(samples)
    positive = random.random(samples) < 0.3
    scores = 1 / (1 + np.exp(-random.normal(positive * 1.2, 1.0)))
    return positive, scores.round(decimals).astype(np.float32)


@pytest.mark.parametrize(("samples", "decimals", "within"), [(203, 2, 1e-9), (203, 7, 1e-9), (7001, 7, 2e-4)])
def test_every_resample_has_the_area_of_scikit_learn(samples: int, decimals: int, within: float) -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    positive, scores = scored(samples, decimals=decimals)
    drawn = resampling([f"s{index % 23}" for index in range(samples)], samples, resamples=8)
    areas = auroc(positive, scores, drawn)
    assert areas[0] == pytest.approx(sklearn.roc_auc_score(positive, scores), abs=1e-6)
    weights = drawn.weights[:, drawn.row]
    expected = [sklearn.roc_auc_score(positive, scores, sample_weight=weight) for weight in weights]
    assert areas == pytest.approx(expected, abs=within)


def test_one_kind_of_sample_has_no_area_and_no_curve() -> None:
    scores = np.array([0.1, 0.2, 0.7], np.float32)
    drawn = resampling(None, 3, resamples=4)
    assert np.isnan(auroc(np.zeros(3, bool), scores, drawn)).all()
    assert roc(np.ones(3, bool), scores) is None
    assert np.isfinite(auroc(np.array([True, False, True]), scores, drawn)[0])


def test_the_curve_is_short_and_keeps_its_area() -> None:
    positive, scores = scored(7001)
    points = np.array(roc(positive, scores))
    assert len(points) <= POINTS + 2
    assert points[0].tolist() == [0, 0]
    assert points[-1].tolist() == [1, 1]
    assert (np.diff(points, axis=0) >= 0).all()
    area = np.sum(np.diff(points[:, 0]) * (points[1:, 1] + points[:-1, 1]) / 2)
    assert area == pytest.approx(auroc(positive, scores, resampling(None, 7001, resamples=1))[0], abs=1e-3)
