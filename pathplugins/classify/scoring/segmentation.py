"""Score masks from the confusion counts of every picture: IoU, Dice and pixel accuracy, pooled and per picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pathplugins.classify.scoring.measure import Measure, divided, mean_of_defined, measure
from pathplugins.classify.scoring.resampling import Resampling
from pathplugins.core.errors import PathPluginsError


@dataclass(frozen=True, kw_only=True)
class MaskScores:
    """What predicted masks are worth."""

    metrics: dict[str, Measure]
    per_class: list[dict[str, Any]]
    """One per class: ``name``, ``samples`` and ``predicted`` (pixels) and measures ``iou``, ``dice``,
    ``pixel_accuracy``."""
    confusion: np.ndarray
    """int64 ``[K, K]``, pixels: rows are the truth, columns the predictions."""
    dice: np.ndarray
    """float64 ``[N]``: mean Dice of every picture over the classes in it."""
    iou: np.ndarray
    """float64 ``[N]``, likewise."""


def score_masks(counts: np.ndarray, classes: Sequence[str], drawn: Resampling) -> MaskScores:
    """Score the confusion counts of pictures.

    Micro: pixels of all pictures are pooled, then averaged over classes. Macro: classes are averaged in every picture,
    then pictures. A class that neither truth nor prediction has is left out of an average.

    Args:
        counts: int ``[N, K, K]``, pixels by truth (rows) and prediction (columns).
        classes: K names.
        drawn: the resamples.
    """
    k = len(classes)
    if counts.ndim != 3 or counts.shape[1:] != (k, k):
        raise PathPluginsError(f"confusion counts are {counts.shape}, expected [N, {k}, {k}]")
    hits, truth, said = (drawn.columns(part) for part in _parts(counts))  # each [1 + B, K]
    iou, dice, accuracy = divided(hits, truth + said - hits), divided(2 * hits, truth + said), divided(hits, truth)
    picture_iou, picture_dice = per_picture(counts)
    values = {
        "miou_micro": mean_of_defined(iou),
        "miou_macro": drawn.mean(picture_iou),
        "dice_micro": mean_of_defined(dice),
        "dice_macro": drawn.mean(picture_dice),
        "mpa": mean_of_defined(accuracy),
        "pixel_accuracy": divided(hits.sum(1), truth.sum(1)),
    }
    rows = []
    for index, name in enumerate(classes):
        absent = f"no pixel is {name!r}"
        measures = {
            "iou": measure(iou[:, index], drawn.units, f"{absent} or predicted to be"),
            "dice": measure(dice[:, index], drawn.units, f"{absent} or predicted to be"),
            "pixel_accuracy": measure(accuracy[:, index], drawn.units, absent),
        }
        rows.append({"name": name, "samples": int(truth[0, index]), "predicted": int(said[0, index]), **measures})
    return MaskScores(
        metrics={name: measure(value, drawn.units) for name, value in values.items()},
        per_class=rows,
        confusion=counts.sum(0, dtype=np.int64),
        dice=picture_dice,
        iou=picture_iou,
    )


def per_picture(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean IoU and the mean Dice of every picture over the classes in it: ``[N, K, K]`` -> two ``[N]``."""
    hits, truth, said = _parts(counts)
    return mean_of_defined(divided(hits, truth + said - hits)), mean_of_defined(divided(2 * hits, truth + said))


def lowest(dice: np.ndarray, most: int) -> list[int]:
    """Return the positions of pictures that are not perfect, the lowest Dice first, at most ``most``."""
    return [int(index) for index in np.argsort(dice, kind="stable")[:most] if dice[index] < 1]


def _parts(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return pixels that are right, of the truth, of the prediction, each int64 ``[N, K]``."""
    return (
        np.einsum("nkk->nk", counts).astype(np.int64),
        counts.sum(2, dtype=np.int64),
        counts.sum(1, dtype=np.int64),
    )
