"""Scores as a publication computes them, beside ours: to see whether its numbers come out again, by its own names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.scoring import quilt_llava
from pathplugins.data.scoring.answers import options_in, parse_choice
from pathplugins.data.scoring.claim_scores import claim_scores
from pathplugins.data.scoring.gpt_reviews import review_scores
from pathplugins.data.scoring.metrics import measure
from pathplugins.data.scoring.tasks import Task

Lines = Sequence[Mapping[str, Any]]

_TYPES = {"open": "open", "other": "open", "closed": "closed"}


def _quilt_vqa(lines: Lines, types: Mapping[str, str]) -> dict[str, Any]:
    """Score open answers by their words and closed ones by yes and no, as Quilt-LLaVA does."""
    kinds: dict[str, list[Mapping[str, Any]]] = {"open": [], "closed": []}
    unknown: Counter[str] = Counter()
    for line in lines:
        said = types[line["id"]]
        kind = _TYPES.get(said.strip().lower())
        if kind is None:
            unknown[said] += 1
        else:
            kinds[kind].append(line)
    scores: dict[str, Any] = {}
    if kinds["open"]:
        each = [quilt_llava.word_scores(line["answer"], line["prediction"]) for line in kinds["open"]]
        for name in quilt_llava.WordScores._fields:
            scores[name] = _mean([getattr(found, name) for found in each])
    truths = [quilt_llava.normalise(line["answer"].lower()) for line in kinds["closed"]]
    asked = [(right, line) for right, line in zip(truths, kinds["closed"], strict=True) if right in ("yes", "no")]
    if asked:
        scores["yes_no_accuracy"] = _mean([quilt_llava.yes_or_no(line["prediction"]) == right for right, line in asked])
    scores["closed_without_yes_or_no"] = len(truths) - len(asked)
    return {**scores, **{f"unknown_answer_type {name!r}": count for name, count in sorted(unknown.items())}}


def _quilt_choices(lines: Lines, types: Mapping[str, str]) -> dict[str, Any]:
    """Score the letters of PMC-VQA, as Quilt-LLaVA reads them."""
    del types
    right = [parse_choice(line["answer"], options_in(line["question"])) for line in lines]
    said = [quilt_llava.letter(line["prediction"]) for line in lines]
    return {
        "letter_accuracy": _mean([a is not None and a == b for a, b in zip(right, said, strict=True)]),
        "letter_failed": said.count(None),
    }


def _mean(values: Sequence[float]) -> dict[str, float | int]:
    array = np.asarray(values, float)
    return measure(lambda at: array[at].mean(), len(array))


_SCORES: dict[str, dict[Task, Callable[[Lines, Mapping[str, str]], dict[str, Any]]]] = {
    "quilt-llava": {"vqa": _quilt_vqa, "choices": _quilt_choices},
    "wsi-llava": {"report": lambda lines, types: {}},  # a judge's claims alone, which `REVIEWS` sums up
}
REVIEWS: dict[str, Callable[[Path], dict[str, dict[str, Any]]]] = {
    "quilt-llava": review_scores,
    "wsi-llava": claim_scores,
}
"""Publication -> reads a file of reviews by a GPT: category -> scores."""

PUBLISHED = tuple(_SCORES)
"""Publications whose scores can be computed."""


def check_published(name: str, task: Task) -> None:
    """Refuse a task that the publication has no scores for."""
    if task not in _SCORES[name]:
        tasks = " or ".join(_SCORES[name])
        raise PathPluginsError(f"--as-published {name} scores --task {tasks}, not {task}; leave it out")


def score_as_published(name: str, task: Task, lines: Lines, types: Mapping[str, str]) -> dict[str, Any]:
    """Return the scores of a publication; means of no answers are absent.

    Args:
        name: of `PUBLISHED`.
        task: a task that `check_published` takes.
        lines: answered questions, with ``id``, ``question``, ``answer`` and ``prediction``.
        types: id -> answer type as the data says it: open (or other), closed. Questions of another type are left out
            and counted under its name.
    """
    return _SCORES[name][task](lines, types)
