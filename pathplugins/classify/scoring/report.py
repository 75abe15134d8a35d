"""The report as plain values: what ``report.json`` holds and the page shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pathplugins.classify.scoring.classification import ClassScores
from pathplugins.classify.scoring.measure import LEVEL, Measure
from pathplugins.classify.scoring.metric_names import METRICS, PER_CLASS
from pathplugins.classify.scoring.resampling import Resampling
from pathplugins.classify.scoring.segmentation import MaskScores

FORMAT = "pathplugins evaluation 1"


def report_of(
    scores: ClassScores | MaskScores,
    drawn: Resampling,
    *,
    run: Mapping[str, Any],
    data: Mapping[str, Any],
    settings: Mapping[str, Any],
    worst: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Return the report of an evaluation, in values that JSON holds.

    Args:
        scores: of the predictions.
        drawn: the resamples they were scored on.
        run: description of the run, shown as it is.
        data: description of the data, shown as it is.
        settings: what the command was asked to do.
        worst: samples to look at first, with ``name``.
    """
    told: dict[str, Any] = {
        "format": FORMAT,
        "task": "classes" if isinstance(scores, ClassScores) else "masks",
        "run": dict(run),
        "data": dict(data),
        "settings": dict(settings),
        "intervals": {
            "level": LEVEL,
            "resamples": len(drawn.weights) - 1,
            "unit": drawn.unit,
            "units": drawn.units,
            "note": drawn.note(),
        },
        "metrics": {name: value.as_json() for name, value in scores.metrics.items()},
        "classes": [_as_json(row) for row in scores.per_class],
        "confusion": scores.confusion.tolist(),
        "worst": [dict(row) for row in worst],
    }
    if isinstance(scores, ClassScores):
        told["roc"] = {name: [list(point) for point in curve] for name, curve in scores.curves.items()}
        told["calibration"] = scores.bins
    return told


def summary(report: Mapping[str, Any]) -> str:
    """Return the metrics as lines of a table for the terminal, with the reason of each undefined one."""
    rows = [(METRICS[name].title, value) for name, value in report["metrics"].items()]
    width = max(len(title) for title, _ in rows)
    lines = [f"{title:<{width}}  {shown(value)}" for title, value in rows]
    absent = [row["name"] for row in report["classes"] if not row["samples"]]
    if absent:
        lines.append(f"not in the data, and left out of averages: {', '.join(absent)}")
    for row in (row for row in report["classes"] if row["samples"]):
        reasons = {row[name]["undefined"] for name in PER_CLASS[report["task"]] if row[name]["value"] is None}
        lines += [f"undefined for class {row['name']}: {reason}" for reason in sorted(reasons)]
    return "\n".join([*lines, f"intervals: {report['intervals']['level']:.0%}, {report['intervals']['note']}"])


def shown(value: Mapping[str, Any]) -> str:
    """Return a measure as text: ``0.912 (0.874 to 0.941)``, or the reason why it is undefined."""
    if value["value"] is None:
        return f"undefined: {value['undefined']}"
    interval = value["no_interval"] if value["low"] is None else f"{value['low']:.3f} to {value['high']:.3f}"
    return f"{value['value']:.3f} ({interval})"


def _as_json(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value.as_json() if isinstance(value, Measure) else value for name, value in row.items()}
