"""The samples of a report to look at first, with their pictures: read again, since none is kept while scoring."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pathplugins.classify.runs import Run
from pathplugins.classify.scoring.classification import most_confident_mistakes
from pathplugins.classify.scoring.predict import Pace, seen
from pathplugins.classify.scoring.segmentation import MaskScores, lowest
from pathplugins.classify.scoring.shown import Case, outlined, picture, shares

if TYPE_CHECKING:
    from pathplugins.data.patch_sets import PatchSet

MOST = 12


def mistakes(
    run: Run, patches: PatchSet, probabilities: np.ndarray, pace: Pace
) -> tuple[list[dict[str, Any]], list[Case]]:
    """Return the most confident mistakes, as rows of ``report.json`` and with pictures.

    Args:
        run: the run.
        patches: N pictures.
        probabilities: float32 ``[N, K]``.
        pace: how to read them.
    """
    chosen = most_confident_mistakes(patches.labels, probabilities, MOST)
    rows = []
    for index in chosen:
        said = int(probabilities[index].argmax())
        rows.append(
            {
                "name": patches.names[index],
                "slide": patches.groups[index],
                "label": patches.classes[patches.labels[index]],
                "prediction": patches.classes[said],
                "probability": round(float(probabilities[index, said]), 6),
            }
        )
    cases = []
    for row, shot in zip(rows, _seen(run, patches, chosen, pace), strict=True):
        told = f"{row['prediction']} ({row['probability']:.1%})"
        alt = f"{row['name']}: {row['label']}, predicted to be {told}"
        facts = [("truth", row["label"]), ("prediction", told), ("slide", row["slide"] or "unknown")]
        cases.append(Case(name=row["name"], facts=facts, pictures=[picture(shot.pixels, alt=alt)]))
    return rows, cases


def poorest(run: Run, patches: PatchSet, scores: MaskScores, pace: Pace) -> tuple[list[dict[str, Any]], list[Case]]:
    """Return the pictures with the lowest Dice, as rows of ``report.json`` and with both masks drawn over them.

    Args:
        run: the run.
        patches: N pictures.
        scores: of the same pictures.
        pace: how to read them.
    """
    chosen = lowest(scores.dice, MOST)
    rows = [
        {
            "name": patches.names[index],
            "slide": patches.groups[index],
            "dice": round(float(scores.dice[index]), 6),
            "iou": round(float(scores.iou[index]), 6),
        }
        for index in chosen
    ]
    cases = []
    for row, shot in zip(rows, _seen(run, patches, chosen, pace), strict=True):
        pictures = []
        for what, mask in (("prediction", shot.predicted), ("truth", shot.truth)):
            covered = f"{what}: {shares(mask, run.classes)}"
            pictures.append(picture(outlined(shot.pixels, mask), alt=f"{row['name']}, {covered}", caption=covered))
        facts = [("Dice", f"{row['dice']:.3f}"), ("IoU", f"{row['iou']:.3f}"), ("slide", row["slide"] or "unknown")]
        cases.append(Case(name=row["name"], facts=facts, pictures=pictures))
    return rows, cases


def _seen(run: Run, patches: PatchSet, chosen: list[int], pace: Pace) -> list[Any]:
    return seen(run, patches.take(np.array(chosen, np.int64)), pace) if chosen else []
