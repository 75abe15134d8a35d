"""What a probe found: ``metrics.json``, ``predictions.csv`` and a table for a terminal."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from pathplugins import __version__
from pathplugins.classify.probe.cross_validate import gathered
from pathplugins.classify.probe.scores import METRICS, mean_of_folds, score
from pathplugins.classify.probe.study import Study
from pathplugins.classify.scoring.resampling import RESAMPLES
from pathplugins.core.counted import counted
from pathplugins.core.files import replacing, write_text_whole

PREDICTIONS, NUMBERS = "predictions.csv", "metrics.json"


def report_of(study: Study, folds: list[dict[str, Any]], record: Mapping[str, Any], *, by: str) -> dict[str, Any]:
    """Return the scores of all slides together and of every fold, as JSON holds them.

    Args:
        study: S slides.
        folds: What `cross_validate` returned.
        record: How the probe was trained.
        by: What the groups are.
    """
    probabilities, fold_of = gathered(study, folds)
    groups = np.array(study.groups)
    whole = score(study.labels, probabilities, study.classes, study.groups)
    scored, rows = [], []
    for number, fold in enumerate(folds):
        at = np.flatnonzero(fold_of == number)
        each = score(study.labels[at], probabilities[at], study.classes, groups[at].tolist())
        scored.append(each)
        rows.append(
            {
                "fold": number,
                "slides": len(at),
                f"{by}s": len({*groups[at].tolist()}),
                **fold["chosen"],
                "metrics": {name: each.metrics[name].as_json() for name in METRICS},
            }
        )
    units = len({*study.groups})
    return {
        "settings": dict(record),
        "slides": len(study.slides),
        f"{by}s": units,
        "classes": {name: int((study.labels == code).sum()) for code, name in enumerate(study.classes)},
        "intervals": f"95 %, {RESAMPLES:,} resamples of {counted(units, by)}",
        "pooled": {name: measured.as_json() for name, measured in whole.metrics.items()},
        "auroc_of_classes": {name: measured.as_json() for name, measured in whole.class_auroc.items()},
        "mean_of_folds": mean_of_folds(scored),
        "folds": rows,
        "versions": {"pathplugins": __version__, "torch": version("torch")},
    }


def write_report(out: Path, study: Study, folds: list[dict[str, Any]], report: Mapping[str, Any]) -> None:
    """Write the predictions and, last, the numbers."""
    probabilities, fold_of = gathered(study, folds)
    with replacing(out / PREDICTIONS) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        shown = (f"probability of {name}" for name in study.classes)
        writer.writerow(["slide", "group", "fold", "label", "prediction", *shown])
        for at, name in enumerate(study.slides):
            row = probabilities[at]
            said = [study.groups[at], fold_of[at], study.classes[study.labels[at]], study.classes[int(row.argmax())]]
            writer.writerow([name, *said, *(f"{value:.6g}" for value in row.tolist())])
    write_text_whole(out / NUMBERS, json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def table_text(report: Mapping[str, Any]) -> str:
    """Return the scores as a table for a terminal: folds, their mean, all slides together, and permuted labels."""
    rows = [["", "slides", *METRICS.values()]]
    for fold in report["folds"]:
        values = [_number(fold["metrics"][name]["value"]) for name in METRICS]
        rows.append([f"fold {fold['fold']}", str(fold["slides"]), *values])
    rows.append(["mean of folds", "", *(_number(report["mean_of_folds"][name]) for name in METRICS)])
    rows.append(["all slides", str(report["slides"]), *(_interval(report["pooled"][name]) for name in METRICS)])
    if permuted := report.get("permuted"):
        told = [_interval(permuted["pooled"][name]) for name in METRICS]
        rows.append(["labels permuted", str(permuted["slides"]), *told])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    classes = ", ".join(f"{name} {number}" for name, number in report["classes"].items())
    head = f"{report['settings']['method']}: {classes}; intervals: {report['intervals']}"
    return "\n".join([head, *lines])


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _interval(measured: Mapping[str, Any]) -> str:
    if measured["low"] is None:
        return _number(measured["value"])
    return f"{measured['value']:.3f} ({measured['low']:.3f} to {measured['high']:.3f})"
