"""Score answers against the right ones. An answer from which nothing can be read is wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.scoring.answers import find_label, is_closed, normalise, options_in, parse_choice, token_recall

Measure = dict[str, float | int]

_RESAMPLES, _LEVEL = 1000, 0.95


def interval(statistic: Callable[[np.ndarray], float], n: int, *, seed: int = 0) -> tuple[float, float]:
    """Return the 95 % percentile bootstrap interval of a statistic, called with the positions of 1,000 resamples."""
    random = np.random.default_rng(seed)
    values = [statistic(random.integers(0, n, n)) for _ in range(_RESAMPLES)]
    low, high = np.quantile(values, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    return float(low), float(high)


def measure(statistic: Callable[[np.ndarray], float], n: int) -> Measure:
    """Return a statistic of all ``n`` answers with its interval."""
    low, high = interval(statistic, n)
    return {"value": float(statistic(np.arange(n))), "low": low, "high": high, "n": n}


def score_vqa(answers: Sequence[str], predictions: Sequence[str]) -> dict[str, Any]:
    """Score exact match after `normalise`: all, yes/no questions, the others; for these also `token_recall`."""
    every = [*zip(answers, predictions, strict=True)]
    closed = [(answer, said) for answer, said in every if is_closed(answer)]
    other = [(answer, said) for answer, said in every if not is_closed(answer)]
    scores: dict[str, Any] = {}
    for name, chosen in (("accuracy", every), ("yes_no_accuracy", closed), ("other_accuracy", other)):
        if chosen:
            scores[name] = _mean([normalise(answer) == normalise(said) for answer, said in chosen])
    if other:
        scores["other_token_recall"] = _mean([token_recall(answer, said) for answer, said in other])
    return {**scores, "yes_no_unparsed": sum(not is_closed(said) for _, said in closed)}


def score_choices(questions: Sequence[str], answers: Sequence[str], predictions: Sequence[str]) -> dict[str, Any]:
    """Score the share of predictions with the right letter, and count those with none; questions list the choices."""
    options = [options_in(question) for question in questions]
    right, said = ([*map(parse_choice, texts, options)] for texts in (answers, predictions))
    return {
        "accuracy": _mean([a is not None and a == b for a, b in zip(right, said, strict=True)]),
        "unparsed": said.count(None),
    }


def label_set(answers: Sequence[str]) -> list[str]:
    """Return the different right answers, each as it is first written."""
    first: dict[str, str] = {}
    for answer in answers:
        first.setdefault(normalise(answer), answer)
    if len(first) < 2:
        raise PathPluginsError(f"all right answers are {[*first.values()]}; expected two labels or more to tell apart")
    return sorted(first.values())


def score_labels(labels: Sequence[str], answers: Sequence[str], predictions: Sequence[str]) -> dict[str, Any]:
    """Score accuracy, micro and macro F1 and every class by itself; a prediction without a label is wrong, and counted.

    ``labels`` come from `label_set`, and every right answer is one of them. Unparsed predictions lower recall and not
    precision, so that micro F1 lies above accuracy where there are some. ``confusion`` counts answers by the right
    label and the one that is said; its last column counts those that say none.
    """
    k = len(labels)
    place = {normalise(label): index for index, label in enumerate(labels)}
    gold = np.array([place[normalise(answer)] for answer in answers])
    said = np.array([k if index is None else index for index in (find_label(text, labels) for text in predictions)])

    def counts(at: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        right = np.bincount(gold[at][gold[at] == said[at]], minlength=k)
        return right, np.bincount(said[at], minlength=k)[:k], np.bincount(gold[at], minlength=k)

    def micro(at: np.ndarray) -> float:
        right, told, asked = (count.sum() for count in counts(at))
        return 2 * right / (told + asked)

    def macro(at: np.ndarray) -> float:
        right, told, asked = (count[np.bincount(gold[at], minlength=k) > 0] for count in counts(at))
        return float((2 * right / (told + asked)).mean())

    rows = zip(labels, *(count.tolist() for count in counts(np.arange(len(gold)))), strict=True)
    classes = {
        label: {
            "precision": right / told if told else 0.0,
            "recall": right / asked if asked else 0.0,
            "f1": 2 * right / (told + asked) if told + asked else 0.0,
            "n": asked,
            "predicted": told,
        }
        for label, right, told, asked in rows
    }
    pairs = np.bincount(gold * (k + 1) + said, minlength=k * (k + 1)).reshape(k, k + 1)
    n = len(gold)
    scores = {"accuracy": _mean(gold == said), "micro_f1": measure(micro, n), "macro_f1": measure(macro, n)}
    return {**scores, "unparsed": int((said == k).sum()), "classes": classes, "confusion": pairs.tolist()}


def _mean(values: Sequence[float] | np.ndarray) -> Measure:
    array = np.asarray(values, float)
    return measure(lambda at: array[at].mean(), len(array))
