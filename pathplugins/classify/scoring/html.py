"""The report as one HTML page that needs nothing beside it: no network, no script, no other file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pathplugins.classify.scoring import plots
from pathplugins.classify.scoring.metric_names import METRICS, PER_CLASS
from pathplugins.classify.scoring.shown import COLOURS, Case
from pathplugins.core.optional import need

TEMPLATES = Path(__file__).parent / "page"


def page(report: Mapping[str, Any], cases: Sequence[Case]) -> str:
    """Render a report.

    Args:
        report: as `report_of` returns it; names in it are data, and never become markup.
        cases: samples to look at, with pictures.
    """
    jinja = need("jinja2", extra="patchtcga")
    environment = jinja.Environment(
        loader=jinja.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    classes = [row["name"] for row in report["classes"]]
    meanings = {name: metric.meaning for name, metric in METRICS.items()}
    if len(classes) == 2:  # both classes have the one area
        meanings["auroc"] = f"area under the ROC curve of {classes[1]}"
    return environment.get_template("report.html").render(
        report=report,
        cases=cases,
        metrics=METRICS,
        meanings=meanings,
        per_class=PER_CLASS[report["task"]],
        colours=[COLOURS[index % len(COLOURS)] for index in range(len(classes))],
        cells=plots.shades(report["confusion"]),
        curves=plots.curves(report.get("roc", {})),
        bars=plots.bars(report["calibration"]) if "calibration" in report else [],
        side=plots.SIDE,
    )
