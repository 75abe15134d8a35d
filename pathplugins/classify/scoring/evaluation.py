"""Score a run on a patch set and write predictions, numbers and the page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pathplugins import __version__
from pathplugins.classify.runs import Run
from pathplugins.classify.scoring.cases import mistakes, poorest
from pathplugins.classify.scoring.classification import score_classes
from pathplugins.classify.scoring.html import page
from pathplugins.classify.scoring.predict import Pace, class_probabilities, mask_counts
from pathplugins.classify.scoring.predictions import write_class_predictions, write_mask_predictions
from pathplugins.classify.scoring.report import report_of
from pathplugins.classify.scoring.resampling import resampling
from pathplugins.classify.scoring.segmentation import score_masks
from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import read_json, refuse_nonempty, write_text_whole
from pathplugins.core.resume_record import every_difference, sentence

if TYPE_CHECKING:
    from pathplugins.data.patch_sets import PatchSet

PREDICTIONS, PAGE, REPORT = "predictions.csv", "report.html", "report.json"


def evaluate(run: Run, patches: PatchSet, out: Path, settings: Mapping[str, Any], pace: Pace) -> dict[str, Any]:
    """Predict, score and write into ``out``: the table, the page and, last, ``report.json``, which is returned.

    Args:
        run: the run; that it may be scored on these pictures is checked before.
        patches: the pictures.
        out: folder, new or of an evaluation with the same ``settings`` (see `check_out`).
        settings: what decides the numbers; kept in the report.
        pace: how to read and predict.

    Raises:
        PathPluginsError: pictures that cannot be read, or predictions that are no probabilities.
    """
    if not len(patches):
        raise PathPluginsError(f"{patches.root}: no picture to score; name another part or folder")
    names, slides, table = patches.names, patches.groups, out / PREDICTIONS
    drawn = resampling(list(slides), len(patches))
    if run.task == "classes":
        probabilities = class_probabilities(run, patches, pace)
        scores: Any = score_classes(patches.labels, probabilities, run.classes, drawn, names)
        rows, cases = mistakes(run, patches, probabilities, pace)
        write_class_predictions(table, names, slides, patches.labels, probabilities, run.classes)
    else:
        counts = mask_counts(run, patches, pace)
        scores = score_masks(counts, run.classes, drawn)
        rows, cases = poorest(run, patches, scores, pace)
        right = np.einsum("nkk->n", counts) / counts.sum((1, 2))
        write_mask_predictions(table, names, slides, scores.dice, scores.iou, right)
    data = _about_data(patches, settings)
    report = report_of(scores, drawn, run=_about_run(run), data=data, settings=settings, worst=rows)
    report["versions"] = {"pathplugins": __version__, **{name: version(name) for name in ("torch", "timm")}}
    write_text_whole(out / PAGE, page(report, cases))
    write_text_whole(out / REPORT, json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    return report


def check_out(out: Path, settings: Mapping[str, Any]) -> None:
    """Let ``out`` be new, empty, or of an evaluation with the same settings.

    Raises:
        PathPluginsError: what it holds instead.
    """
    ours = {PREDICTIONS, PAGE, REPORT}
    if not out.is_dir() or any(each.name not in ours and not each.name.startswith(".") for each in out.iterdir()):
        refuse_nonempty(out)
        return
    if (out / REPORT).is_file():
        before = read_json(out / REPORT).get("settings", {})
        if changes := every_difference(before, settings):
            raise PathPluginsError(
                f"{out} holds an evaluation with other settings: {sentence(changes)}; name another --out, or remove it"
            )


def _about_data(patches: PatchSet, settings: Mapping[str, Any]) -> dict[str, Any]:
    slides = len(set(patches.groups) - {""})
    size = f"{patches.patch_px} px" if patches.patch_px else ""
    return {
        "path": str(settings["data"]),
        "part": settings.get("part") or "",
        "split": f"{settings['split']}, fold {settings['fold']}" if settings.get("split") else "",
        "kind": patches.kind,
        "samples": len(patches),
        "slides": slides or "unknown",
        "patch": f"{size} at {patches.mpp} um/px" if size and patches.mpp else size,
        "licence": patches.licence,
        "trained_on": "may hold pictures of the training" if settings["allow_training_data"] else "",
    }


def _about_run(run: Run) -> dict[str, Any]:
    record, side = run.record, run.preprocess.crop_px
    fold = f", fold {record['fold']}" if record.get("split") else ""
    return {
        "name": run.path.resolve().name,
        "path": str(run.path),
        "recipe": record["recipe"],
        "encoder": read_json(run.path / "config.json").get("architecture", ""),
        "head": record.get("head", ""),
        "input": f"{side} px" + (f" of the central {run.centre_px} px" if run.centre_px else ""),
        "trained_on": record.get("data", ""),
        "split": f"{record['split']}{fold}" if record.get("split") else "",
        "pictures_of_training": len(run.names_of_training),
        "steps": record.get("steps", ""),
        "pathplugins": record.get("pathplugins", ""),
    }
