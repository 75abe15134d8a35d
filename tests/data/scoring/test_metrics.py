"""Scores against slow counting, and intervals against theory (features A34 to A36)."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.scoring.metrics import interval, label_set, score_choices, score_labels, score_vqa


def values(scores: dict) -> dict[str, float]:
    return {name: score["value"] for name, score in scores.items() if isinstance(score, dict) and "value" in score}


def test_a34_yes_no_and_others() -> None:
    answers = ["yes", "No.", "no", "the left lung", "two", "in the upper lobe"]
    said = ["Yes", "no", "maybe not", "left lung", "2 or three", "lobe"]
    scores = score_vqa(answers, said)
    assert values(scores) == pytest.approx(
        {
            "accuracy": 3 / 6,
            "yes_no_accuracy": 2 / 3,
            "other_accuracy": 1 / 3,
            "other_token_recall": (1 + 1 + 1 / 3) / 3,
        }
    )
    assert [scores[name]["n"] for name in values(scores)] == [6, 3, 3, 3]
    assert scores["yes_no_unparsed"] == 1
    assert score_vqa(["yes"], ["yes"]).keys() == {"accuracy", "yes_no_accuracy", "yes_no_unparsed"}


def test_a35_unparsed_letters_are_wrong_and_counted() -> None:
    questions = ["Q\nA) x\nB) y", "Q\nA) x\nB) y", "Q\nA) y\nB) x", "Q\nA) x\nB) y"]
    scores = score_choices(questions, ["A) x", "B", "A) y", "A"], ["A", "unsure", "y", "B"])
    assert (scores["accuracy"]["value"], scores["accuracy"]["n"], scores["unparsed"]) == (0.5, 4, 1)


def test_a36_scores_by_counting() -> None:
    labels = ["benign", "in situ", "invasive"]
    random = np.random.default_rng(3)
    answers = [labels[n] for n in random.choice(3, 97, p=[0.6, 0.3, 0.1])]
    said = [[*labels, "no idea"][n] for n in random.choice(4, 97)]
    scores = score_labels(labels, answers, [f"It shows {text}." for text in said])
    pairs = Counter(zip(answers, said, strict=True))
    f1 = []
    for label in labels:
        right = pairs[label, label]
        told = sum(count for (_, s), count in pairs.items() if s == label)
        asked = sum(count for (a, _), count in pairs.items() if a == label)
        f1.append(2 * right / (told + asked))
        expected = {"precision": right / told, "recall": right / asked, "f1": f1[-1], "n": asked, "predicted": told}
        assert scores["classes"][label] == pytest.approx(expected)
    right = sum(pairs[label, label] for label in labels)
    unparsed = said.count("no idea")
    micro = 2 * right / (97 + 97 - unparsed)
    assert values(scores) == pytest.approx({"accuracy": right / 97, "micro_f1": micro, "macro_f1": sum(f1) / 3})
    assert scores["unparsed"] == unparsed
    assert scores["confusion"] == [[pairs[a, s] for s in (*labels, "no idea")] for a in labels]
    for score in (scores["accuracy"], scores["micro_f1"], scores["macro_f1"]):
        assert score["low"] < score["value"] < score["high"]


def test_a36_labels_nobody_asks_for_do_not_count() -> None:
    scores = score_labels(["a cyst", "benign", "other"], ["benign", "a cyst"], ["benign", "other"])
    assert scores["macro_f1"]["value"] == pytest.approx(0.5)
    assert scores["classes"]["other"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "n": 0, "predicted": 1}


def test_labels_are_told_apart_as_answers_are() -> None:
    assert label_set(["In situ", "in_situ", "benign"]) == ["In situ", "benign"]
    with pytest.raises(PathPluginsError, match=r"all right answers are \['benign'\]; expected two labels or more"):
        label_set(["benign", "Benign."])


def test_intervals_are_those_of_theory_and_repeat() -> None:
    right = np.arange(401) % 4 == 0  # a quarter
    low, high = interval(lambda at: right[at].mean(), 401)
    sigma = math.sqrt(right.mean() * (1 - right.mean()) / 401)
    assert (low, high) == pytest.approx((right.mean() - 1.96 * sigma, right.mean() + 1.96 * sigma), abs=0.2 * sigma)
    assert interval(lambda at: right[at].mean(), 401) == (low, high)
    assert interval(lambda at: right[at].mean(), 401, seed=1) != (low, high)
