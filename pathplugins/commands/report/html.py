"""The page: one HTML file without a script, an address or another file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pathplugins.classify.scoring.html import TEMPLATES
from pathplugins.classify.scoring.plots import shades
from pathplugins.commands.blinding import CONDITIONS
from pathplugins.commands.report.comparison import Comparison
from pathplugins.commands.report.loss_plot import HEIGHT, WIDTH, loss_plot
from pathplugins.commands.report.results import Ablation, Run
from pathplugins.commands.report.training import Training
from pathplugins.commands.report.worst import BadAnswer
from pathplugins.core.optional import need

PAGE = Path(__file__).parent / "page"
ROWS = 1000
"""Questions in the table of all answers."""
_WORDS = 240  #: letters of a text in that table


def page(
    runs: Sequence[Run],
    ablations: Sequence[Ablation],
    comparisons: Sequence[Comparison],
    cases: Sequence[BadAnswer],
    shown: Sequence[Run],
    trainings: Sequence[Training] = (),
) -> str:
    """Render the page; names and texts in it are data, and never become markup.

    Args:
        runs: of `evaluate`.
        ablations: of `ablate`.
        comparisons: of the runs.
        cases: wrong answers, with pictures.
        shown: runs whose answers are listed: those asked the same as the first.
        trainings: whose losses are drawn.
    """
    jinja = need("jinja2", extra="scores")
    environment = jinja.Environment(
        loader=jinja.FileSystemLoader([PAGE, TEMPLATES]),
        autoescape=True,
        undefined=jinja.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    alike = [run for run in shown if run.told["task"] == shown[0].told["task"] and run.asked == shown[0].asked]
    return environment.get_template("results.html").render(
        runs=runs,
        tables=[_table(run) for run in runs],
        groups=[(run.name, field, _groups(groups)) for run in runs for field, groups in run.told["by"].items()],
        matrices=[(run.name, _matrix(run)) for run in runs if "confusion" in run.told["metrics"]],
        comparisons=comparisons,
        ablations=[(each, _in_order(each.told["conditions"])) for each in ablations],
        plots=[loss_plot(training) for training in trainings],
        width=WIDTH,
        height=HEIGHT,
        cases=cases,
        answers=_answers(alike),
        alike=alike,
        rows=ROWS,
        settings=[(run.name, _facts(run)) for run in shown],
    )


def _table(run: Run) -> list[tuple[str, Any]]:
    """Return the scores of a run: name and measure or count."""
    details = ("classes", "confusion")
    return [(name, value) for name, value in run.told["metrics"].items() if name not in details]


def _groups(groups: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    names = list(dict.fromkeys(name for scores in groups.values() for name in scores if name != "questions"))
    return {"names": names, "rows": groups}


def _in_order(conditions: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return the conditions as they are asked; JSON has them by name."""
    return [(name, conditions[name]) for name in CONDITIONS if name in conditions]


def _matrix(run: Run) -> dict[str, Any]:
    """Return the confusion matrix with the colour and share of each cell."""
    labels = [*run.told["metrics"]["classes"]]
    return {"labels": labels, "rows": [*zip(labels, shades(run.told["metrics"]["confusion"]), strict=True)]}


def _answers(runs: Sequence[Run]) -> list[dict[str, Any]]:
    lines = [*zip(*(run.lines for run in runs), strict=True)][:ROWS]
    return [
        {
            "id": each[0]["id"],
            **{name: _short(each[0][name]) for name in ("question", "answer")},
            "said": [_short(line["prediction"]) for line in each],
            "right": [run.values[index] >= 1 for run in runs],
        }
        for index, each in enumerate(lines)
    ]


def _facts(run: Run) -> dict[str, Any]:
    judge = {f"judge_{name}": value for name, value in run.told.get("judge", {}).items()}
    return {**run.told["settings"], "left_out": run.told["left_out"] or None, **judge, **run.told["versions"]}


def _short(text: str) -> str:
    return text if len(text) <= _WORDS else f"{text[: _WORDS - 4]} ..."
