"""The report: plain values with every reason, and a table for the terminal."""

from __future__ import annotations

import json

import numpy as np
import pytest

pytest.importorskip("torchmetrics")
from pathplugins.classify.scoring.classification import score_classes
from pathplugins.classify.scoring.metric_names import METRICS, PER_CLASS
from pathplugins.classify.scoring.report import report_of, summary
from pathplugins.classify.scoring.resampling import resampling
from pathplugins.classify.scoring.segmentation import score_masks


def described(scores: object, drawn: object) -> dict:
    return report_of(scores, drawn, run={"name": "r"}, data={"samples": 4}, settings={"fold": 0}, worst=[{"name": "a"}])


def test_a_report_of_classes_is_json_and_names_what_is_undefined() -> None:
    labels, probabilities = np.array([0, 1, 1, 0]), np.array([[0.9, 0.1, 0], [0.2, 0.8, 0]] * 2, np.float32)
    drawn = resampling(["s", "t", "u", "v"], 4)
    report = described(score_classes(labels, probabilities, ("a", "b", "c"), drawn, list("wxyz")), drawn)
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert report["task"] == "classes"
    assert report["classes"][2]["recall"]["undefined"] == "no sample is 'c'"
    assert report["confusion"] == [[1, 1, 0], [1, 1, 0], [0, 0, 0]]
    assert set(report["roc"]) == {"a", "b"}
    assert sum(part["samples"] for part in report["calibration"]) == 4
    assert report["intervals"] == {
        **{"level": 0.95, "resamples": 1000, "unit": "slide", "units": 4},
        "note": drawn.note(),
    }
    lines = summary(report).splitlines()
    assert lines[0].startswith("Accuracy           0.500 (0.")
    assert lines[-2:] == ["not in the data, and left out of averages: c", f"intervals: 95%, {drawn.note()}"]


def test_a_report_of_masks_is_json() -> None:
    counts = np.array([[[3, 1], [0, 0]], [[2, 0], [0, 0]]])
    drawn = resampling(["only", "only"], 2)
    report = described(score_masks(counts, ("a", "b"), drawn), drawn)
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert report["task"] == "masks"
    assert "0.833 (no interval: it needs two" in summary(report)
    assert "left out of averages: b" in summary(report)


def test_every_measure_has_a_title() -> None:
    scores = {"accuracy", "balanced_accuracy", "auroc", "f1_macro", "ece", "brier"}
    scores |= {"miou_micro", "miou_macro", "dice_micro", "dice_macro", "mpa", "pixel_accuracy"}
    assert scores | {name for names in PER_CLASS.values() for name in names} == METRICS.keys()
