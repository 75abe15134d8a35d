"""Scores of masks: numbers worked out by hand, torchmetrics on the pooled pixels, classes that are in neither mask."""

from __future__ import annotations

import numpy as np
import pytest

from pathplugins.classify.scoring.resampling import resampling
from pathplugins.classify.scoring.segmentation import lowest, per_picture, score_masks
from pathplugins.core.errors import PathPluginsError

CLASSES = ("background", "stroma", "benign", "tumour")
TRUTH = np.array([[[0, 0, 1], [0, 1, 1]], [[2, 2, 2], [2, 2, 2]]])  # [2, 2, 3]
PREDICTED = np.array([[[0, 1, 1], [0, 1, 0]], [[2, 2, 2], [2, 2, 1]]])


def counts_of(truth: np.ndarray, predicted: np.ndarray, k: int = 4) -> np.ndarray:
    pairs = truth * k + predicted
    return np.stack([np.bincount(pair.reshape(-1), minlength=k * k).reshape(k, k) for pair in pairs]).astype(np.int32)


def test_numbers_worked_out_by_hand() -> None:
    found = score_masks(counts_of(TRUTH, PREDICTED), CLASSES, resampling(["a", "b"], 2))
    # background: 2 right, 3 true, 3 said; stroma: 2, 3, 4; benign: 5, 6, 5; tumour in neither
    iou, dice, recall = [2 / 4, 2 / 5, 5 / 6], [4 / 6, 4 / 7, 10 / 11], [2 / 3, 2 / 3, 5 / 6]
    values = {name: measure.value for name, measure in found.metrics.items()}
    assert values == pytest.approx(
        {
            "miou_micro": np.mean(iou),
            "miou_macro": np.mean([(2 / 4 + 2 / 4) / 2, (5 / 6 + 0) / 2]),  # stroma is predicted in the second
            "dice_micro": np.mean(dice),
            "dice_macro": np.mean([(4 / 6 + 4 / 6) / 2, (10 / 11 + 0) / 2]),
            "mpa": np.mean(recall),
            "pixel_accuracy": 9 / 12,
        }
    )
    assert [row["iou"].value for row in found.per_class[:3]] == pytest.approx(iou)
    assert found.per_class[3]["iou"].reason == "no pixel is 'tumour' or predicted to be"
    assert found.per_class[3]["pixel_accuracy"].reason == "no pixel is 'tumour'"
    assert lowest(found.dice, 5) == [1, 0]
    assert found.confusion.sum() == 12


def test_pooled_scores_are_those_of_torchmetrics() -> None:
    torch = pytest.importorskip("torch")
    functional = pytest.importorskip("torchmetrics.functional.classification")
    random = np.random.default_rng(0)
    truth = random.integers(0, 4, (7, 5, 9))
    predicted = np.where(random.random(truth.shape) < 0.7, truth, random.integers(0, 4, truth.shape))
    found = score_masks(counts_of(truth, predicted), CLASSES, resampling([f"s{index % 3}" for index in range(7)], 7))
    pair = torch.from_numpy(predicted), torch.from_numpy(truth)
    for name, theirs in (
        ("miou_micro", functional.multiclass_jaccard_index(*pair, 4)),
        ("dice_micro", functional.multiclass_f1_score(*pair, 4, average="macro")),
        ("mpa", functional.multiclass_accuracy(*pair, 4, average="macro")),
        ("pixel_accuracy", functional.multiclass_accuracy(*pair, 4, average="micro")),
    ):
        assert found.metrics[name].value == pytest.approx(float(theirs), abs=1e-6), name
        assert found.metrics[name].low <= found.metrics[name].value <= found.metrics[name].high


def test_a_picture_by_itself_counts_the_classes_in_it() -> None:
    iou, dice = per_picture(counts_of(TRUTH[1:], TRUTH[1:]))
    assert (iou.tolist(), dice.tolist()) == ([1.0], [1.0])
    assert lowest(dice, 3) == []


def test_counts_of_another_shape_are_refused() -> None:
    with pytest.raises(PathPluginsError, match=r"expected \[N, 4, 4\]"):
        score_masks(np.zeros((2, 3, 3), np.int64), CLASSES, resampling(None, 2))
