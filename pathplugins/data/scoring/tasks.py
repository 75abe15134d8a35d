"""Tasks of an evaluation: which scores belong to which kind of question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pathplugins.data.scoring.judged import score_judged
from pathplugins.data.scoring.metrics import score_choices, score_labels, score_vqa
from pathplugins.data.scoring.reports import score_reports
from pathplugins.data.scoring.terms import Terms

Task = Literal["vqa", "choices", "labels", "report"]

TASKS: dict[Task, str] = {
    "vqa": "exact match, yes/no questions and others",
    "choices": "letter of the choice",
    "labels": "class of the image",
    "report": "free text: n-grams, sequences, clinical terms",
}


def score(
    task: Task, lines: Sequence[Mapping[str, Any]], *, labels: Sequence[str] = (), terms: Terms | None = None
) -> dict[str, Any]:
    """Score answered questions.

    Args:
        task: what they ask for.
        lines: with ``question``, ``answer`` (the right one) and ``prediction``; with the grade of a judge where one was
            asked.
        labels: the classes, for ``labels``.
        terms: the clinical terms, for ``report``.
    """
    return {**_score(task, lines, labels, terms), **score_judged(lines)}


def _score(
    task: Task, lines: Sequence[Mapping[str, Any]], labels: Sequence[str], terms: Terms | None
) -> dict[str, Any]:
    questions, right, said = ([line[name] for line in lines] for name in ("question", "answer", "prediction"))
    if task == "vqa":
        return score_vqa(right, said)
    if task == "choices":
        return score_choices(questions, right, said)
    if task == "labels":
        return score_labels(labels, right, said)
    return score_reports(right, said, terms or Terms(()))


def score_groups(
    task: Task,
    lines: Sequence[Mapping[str, Any]],
    groups: Mapping[str, str],
    *,
    labels: Sequence[str] = (),
    terms: Terms | None = None,
) -> dict[str, dict[str, Any]]:
    """Score the questions of each group by themselves.

    Args:
        task: what the questions ask for.
        lines: as for `score`, with ``id``.
        groups: id -> value of a field.
        labels: as for `score`.
        terms: as for `score`.

    Returns:
        Value, in alphabetical order -> its scores without the tables of single classes, and its number of
        ``questions``.
    """
    parts: dict[str, list[Mapping[str, Any]]] = {value: [] for value in sorted({*groups.values()})}
    for line in lines:
        parts[groups[line["id"]]].append(line)
    scores = {}
    for value, part in parts.items():
        found = score(task, part, labels=labels, terms=terms)
        scores[value] = {name: found[name] for name in found if name not in ("classes", "confusion")}
        scores[value]["questions"] = len(part)
    return scores
