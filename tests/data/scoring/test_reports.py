"""Scores of reports against values worked out by hand."""

from __future__ import annotations

import math

import pytest

pytest.importorskip("rouge_score")

from pathplugins.data.scoring.reports import score_reports
from pathplugins.data.scoring.terms import Terms

RIGHT = ["The glands show marked atypia.", "No necrosis is seen in the stroma of it"]
SAID = ["the gland show atypia", "Necrosis is seen in the stroma"]


def test_values_by_hand() -> None:
    scores = score_reports(RIGHT, SAID, Terms(["gland", "atypia", "necrosis", "stroma"]))
    values = {name: score["value"] for name, score in scores.items() if isinstance(score, dict)}
    brevity = math.exp(1 - 14 / 10)  # 5 + 9 words wanted, 4 + 6 said
    assert values["bleu_1"] == pytest.approx(brevity * 9 / 10)
    assert values["bleu_2"] == pytest.approx(brevity * math.sqrt(9 / 10 * 5 / 8))
    assert values["bleu_4"] == pytest.approx(brevity * (9 / 10 * 5 / 8 * 4 / 6 * 3 / 4) ** 0.25)
    assert values["rouge_l"] == pytest.approx((2 * (3 / 4 * 3 / 5) / (3 / 4 + 3 / 5) + 2 * 6 / 9 / (1 + 6 / 9)) / 2)
    # METEOR: 4 of 4 words match ("gland" by its stem) in 2 chunks; then 6 of 6 in 1
    first = (1 - 0.5 * (2 / 4) ** 3) * (4 / 5) / (0.9 + 0.1 * 4 / 5)
    second = (1 - 0.5 * (1 / 6) ** 3) * (6 / 9) / (0.9 + 0.1 * 6 / 9)
    assert values["meteor"] == pytest.approx((first + second) / 2)
    assert values["term_recall"] == pytest.approx((1 + 1 / 2) / 2)  # that necrosis was denied is missed
    assert scores["empty"] == 0
    assert all(score["low"] <= score["value"] <= score["high"] for score in scores.values() if isinstance(score, dict))


def test_the_same_text_is_perfect_and_nothing_is_worth_nothing() -> None:
    terms = Terms(["atypia"])
    same = score_reports(RIGHT, RIGHT, terms)
    for name in ("bleu_1", "bleu_4", "rouge_l", "term_recall"):
        assert same[name]["value"] == pytest.approx(1)
    assert same["cider"]["value"] == pytest.approx(10)
    assert same["term_recall"]["n"] == 1  # the other report names no term
    none = score_reports(RIGHT, ["", " ."], terms)
    assert none["empty"] == 2
    assert {score["value"] for score in none.values() if isinstance(score, dict)} == {0.0}


def test_what_cannot_be_told_is_left_out() -> None:
    scores = score_reports(["A gland."], ["a gland"], Terms(["atypia"]))
    assert {*scores} == {*("bleu_1", "bleu_2", "bleu_3", "bleu_4", "rouge_l", "meteor", "empty")}
    assert (scores["bleu_2"]["value"], scores["bleu_3"]["value"]) == (1.0, 0.0)  # two words hold no triple
