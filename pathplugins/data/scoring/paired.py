"""Compare two runs over the same questions, question by question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pathplugins.data.scoring.answers import find_label, normalise, options_in, parse_choice
from pathplugins.data.scoring.metrics import Measure, measure
from pathplugins.data.scoring.reports import rouge_l
from pathplugins.data.scoring.tasks import Task

MAIN: dict[Task, str] = {"vqa": "accuracy", "choices": "accuracy", "labels": "accuracy", "report": "rouge_l"}
"""The measure of each task that is a mean over single questions, by which runs are compared."""


def per_question(task: Task, lines: Sequence[Mapping[str, Any]], labels: Sequence[str] = ()) -> np.ndarray:
    """Return the value of `MAIN` of each question, float64 [N]: 1 for a right answer and 0 for another, or ROUGE-L.

    Args:
        task: what the questions ask for.
        lines: with ``question``, ``answer`` and ``prediction``.
        labels: the classes, for ``labels``.
    """
    if task == "report":
        return np.array(rouge_l([(line["answer"], line["prediction"]) for line in lines]), float)
    return np.array([_right(task, line, labels) for line in lines], float)


def difference(first: np.ndarray, second: np.ndarray) -> Measure:
    """Return the mean of first minus second over the same questions, with the interval of a paired bootstrap.

    Args:
        first: value of each question in one run [N].
        second: likewise, in the other run, in the same order.
    """
    gaps = first - second
    return measure(lambda at: float(gaps[at].mean()), len(gaps))


def unchanged(first: Sequence[str], second: Sequence[str]) -> Measure:
    """Return the share of questions that both runs answer in the same words, with its interval."""
    same = np.array([normalise(a) == normalise(b) for a, b in zip(first, second, strict=True)], float)
    return measure(lambda at: float(same[at].mean()), len(same))


def _right(task: Task, line: Mapping[str, Any], labels: Sequence[str]) -> bool:
    answer, said = line["answer"], line["prediction"]
    if task == "vqa":
        return normalise(answer) == normalise(said)
    if task == "choices":
        options = options_in(line["question"])
        right = parse_choice(answer, options)
        return right is not None and right == parse_choice(said, options)
    found = find_label(said, labels)
    return found is not None and normalise(labels[found]) == normalise(answer)
