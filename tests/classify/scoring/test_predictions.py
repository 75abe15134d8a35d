"""Tables of predictions: a row a sample, names with commas and quotes kept."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from pathplugins.classify.scoring.predictions import write_class_predictions, write_mask_predictions


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return [*csv.DictReader(file)]


def test_classes(tmp_path: Path) -> None:
    probabilities = np.array([[0.25, 0.75], [1, 0]], np.float32)
    names = ['a, "b"/ü.png', "c.png"]
    path = tmp_path / "new" / "p.csv"
    write_class_predictions(path, names, ["s", ""], np.array([0, 0]), probabilities, ("no", "yes"))
    first, second = rows(path)
    assert first == {
        **{"name": names[0], "slide": "s", "label": "no", "prediction": "yes"},
        **{"probability of no": "0.25", "probability of yes": "0.75"},
    }
    assert (second["slide"], second["prediction"]) == ("", "no")
    assert [each.name for each in path.parent.iterdir()] == ["p.csv"]


def test_masks(tmp_path: Path) -> None:
    write_mask_predictions(tmp_path / "p.csv", ["a", "b"], ["s", "t"], np.array([0.5, 1]), np.ones(2), np.array([1, 0]))
    first, second = rows(tmp_path / "p.csv")
    assert first == {"name": "a", "slide": "s", "dice": "0.5", "iou": "1", "pixel accuracy": "1"}
    assert float(second["pixel accuracy"]) == pytest.approx(0)
