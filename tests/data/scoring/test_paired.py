"""Runs over the same questions, compared question by question."""

from __future__ import annotations

import numpy as np
import pytest

from pathplugins.data.scoring.metrics import score_choices, score_labels, score_vqa
from pathplugins.data.scoring.paired import MAIN, difference, per_question, unchanged
from pathplugins.data.scoring.tasks import TASKS


def test_values_are_those_of_the_scores() -> None:
    assert {*MAIN} == {*TASKS}
    right, said = ["yes", "two", "the lung"], ["Yes.", "3", "lung"]
    lines = [{"question": "Q", "answer": a, "prediction": b} for a, b in zip(right, said, strict=True)]
    assert per_question("vqa", lines).tolist() == [1, 0, 1]
    assert per_question("vqa", lines).mean() == score_vqa(right, said)["accuracy"]["value"]
    question = {"question": "Q\nA) yes\nB) two", "answer": "A"}
    choices = [{**question, "prediction": text} for text in "Ab?"]
    assert per_question("choices", choices).tolist() == [1, 0, 0]
    texts = ([line[name] for line in choices] for name in ("question", "answer", "prediction"))
    assert per_question("choices", choices).mean() == pytest.approx(score_choices(*texts)["accuracy"]["value"])
    labels = ["lung", "two", "yes"]
    assert per_question("labels", lines, labels).tolist() == [1, 0, 1]
    assert score_labels(labels, right, said)["accuracy"]["value"] == pytest.approx(2 / 3)


def test_reports() -> None:
    pytest.importorskip("rouge_score")
    assert per_question("report", [{"answer": "a b, c", "prediction": "A c"}]).tolist() == [0.8]


def test_pairs_tell_more_than_two_runs() -> None:
    """The second run is right where the first is, but for 20 of 200: the gap is certain, although both scatter."""
    first = (np.arange(200) % 2).astype(float)
    second = first * (np.arange(200) % 10 != 1)
    gap = difference(first, second)
    assert (gap["value"], gap["n"]) == (pytest.approx(0.1), 200)
    assert 0.06 < gap["low"] < gap["value"] < gap["high"] < 0.15
    assert difference(first, first) == {"value": 0.0, "low": 0.0, "high": 0.0, "n": 200}


def test_the_same_words() -> None:
    assert unchanged(["A gland.", "yes"], ["gland", "no"])["value"] == 0.5
