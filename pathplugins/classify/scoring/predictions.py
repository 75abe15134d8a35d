"""Predictions as a CSV table, one row per sample."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pathplugins.core.files import replacing


def write_class_predictions(
    path: Path,
    names: Sequence[str],
    slides: Sequence[str],
    labels: np.ndarray,
    probabilities: np.ndarray,
    classes: Sequence[str],
) -> None:
    """Write name, slide, label, prediction and a column ``probability of CLASS`` per class.

    Args:
        path: of the table.
        names: N.
        slides: N; empty where unknown.
        labels: int64 ``[N]``.
        probabilities: float32 ``[N, K]``.
        classes: K names.
    """
    predicted = probabilities.argmax(1)
    header = ["name", "slide", "label", "prediction", *(f"probability of {name}" for name in classes)]
    rows = (
        [names[index], slides[index], classes[labels[index]], classes[predicted[index]]]
        + [f"{value:.6g}" for value in probabilities[index].tolist()]
        for index in range(len(names))
    )
    _write(path, header, rows)


def write_mask_predictions(
    path: Path, names: Sequence[str], slides: Sequence[str], dice: np.ndarray, iou: np.ndarray, accuracy: np.ndarray
) -> None:
    """Write name, slide and the scores of every picture, each float64 ``[N]``."""
    rows = (
        [names[index], slides[index], *(f"{values[index]:.6g}" for values in (dice, iou, accuracy))]
        for index in range(len(names))
    )
    _write(path, ["name", "slide", "dice", "iou", "pixel accuracy"], rows)


def _write(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
