"""Scores as tables to print."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_DETAILS = ("classes", "confusion")
_MATRIX = 20  #: classes whose confusion matrix a terminal still shows


def table(scores: Mapping[str, Any]) -> str:
    """Return the scores as lines to print."""
    rows = [f"{'':24}{'value':>8}  {'95 % interval':18}{'n':>7}"]
    for name, value in scores.items():
        if isinstance(value, int):
            rows.append(f"{name:24}{value:>8}")
        elif name not in _DETAILS:
            between = f"{value['low']:.4f} - {value['high']:.4f}"
            rows.append(f"{name:24}{value['value']:>8.4f}  {between:18}{value['n']:>7}")
    if classes := scores.get("classes"):
        rows += ["", f"{'':24}{'precision':>10}{'recall':>8}{'f1':>8}{'n':>7}{'predicted':>11}"]
        rows += [
            f"{label:24}{c['precision']:>10.4f}{c['recall']:>8.4f}{c['f1']:>8.4f}{c['n']:>7}{c['predicted']:>11}"
            for label, c in classes.items()
        ]
        rows += ["", *_matrix([*classes], scores["confusion"])]
    return "\n".join(rows)


def table_by(field: str, groups: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the scores of every value of a field as lines to print, one a value.

    Args:
        field: name of the field.
        groups: value -> scores, as `score_groups` returns them.
    """
    names = list(dict.fromkeys(n for scores in groups.values() for n, v in scores.items() if n != "questions"))
    width = max(24, len(field), *map(len, groups))
    rows = [f"{field:{width}}{'questions':>11}" + "".join(f"{name:>{len(name) + 2}}" for name in names)]
    for value, scores in groups.items():
        cells = [f"{_number(scores.get(name)):>{len(name) + 2}}" for name in names]
        rows.append(f"{value:{width}}{scores['questions']:>11}{''.join(cells)}")
    return "\n".join(rows)


def table_of_conditions(told: Mapping[str, Any]) -> str:
    """Return an ablation as lines to print: the measure of each condition, what it loses, and a verdict.

    Args:
        told: with ``measure`` and ``conditions``: name -> ``metrics`` and, for all but the first, ``lost`` and
            ``unchanged``.
    """
    name, conditions = told["measure"], told["conditions"]
    rows = [f"{'':12}{name:>10}  {'95 % interval':18}{'lost':>8}  {'95 % interval':20}{'same answers':>12}"]
    for condition, found in conditions.items():
        row = f"{condition:12}{_between(found['metrics'][name], 10, 18)}"
        if "lost" in found:
            row += f"{_between(found['lost'], 8, 20)}{found['unchanged']['value']:>12.4f}"
        rows.append(row.rstrip())
    needed = [condition for condition, found in conditions.items() if "lost" in found and found["lost"]["low"] > 0]
    rest = [condition for condition, found in conditions.items() if "lost" in found and condition not in needed]
    if needed:
        rows.append(f"answers need the picture: worse when {', '.join(needed)}")
    if rest:
        rows.append(f"no loss to be told from chance when {', '.join(rest)}")
    return "\n".join(rows)


def _between(score: Mapping[str, float], before: int, after: int) -> str:
    between = f"{score['low']:.4f} - {score['high']:.4f}"
    return f"{score['value']:>{before}.4f}  {between:{after}}"


def _number(score: Any) -> str:
    if score is None:
        return "-"
    return str(score) if isinstance(score, int) else f"{score['value']:.4f}"


def _matrix(labels: list[str], counts: list[list[int]]) -> list[str]:
    """Return the lines of a confusion matrix; its columns are numbered like its rows."""
    if len(labels) > _MATRIX:
        return [f"the confusion matrix of {len(labels)} classes is in metrics.json"]
    names = [f"{number:>3} {label}" for number, label in enumerate(labels, start=1)]
    width = max(24, *map(len, names))
    columns = [*map(str, range(1, len(labels) + 1)), "none"]
    rows = [f"{'right below, said beside':{width}}" + "".join(f"{name:>7}" for name in columns)]
    return rows + [
        f"{name:{width}}" + "".join(f"{c:>7}" for c in line) for name, line in zip(names, counts, strict=True)
    ]
