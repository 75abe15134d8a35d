"""What the judge did not grade is counted beside the mean, never in it."""

from __future__ import annotations

from typing import Any

import pytest

from pathplugins.data.scoring.judged import score_judged
from pathplugins.data.scoring.tasks import score, score_groups


def lines(*grades: Any) -> list[dict[str, Any]]:
    rows = [{"id": str(n), "question": "", "answer": "gland", "prediction": "gland"} for n in range(len(grades))]
    return [{**row, **({} if grade is None else {"grade": grade})} for row, grade in zip(rows, grades, strict=True)]


def test_means_and_counts() -> None:
    found = score_judged(lines(4, 0, "unparsed", None, 3, "failed", "unparsed"))
    assert (found["judge_unparsed"], found["judge_failed"]) == (2, 1)
    assert (found["judge_score"]["value"], found["judge_score"]["n"]) == (pytest.approx(7 / 3), 3)
    assert 0 <= found["judge_score"]["low"] < found["judge_score"]["high"] <= 4
    assert score_judged(lines("unparsed")) == {"judge_unparsed": 1, "judge_failed": 0}
    assert score_judged(lines(None, None)) == {}


def test_they_stand_beside_the_scores_of_the_task() -> None:
    assert [*score("vqa", lines(None))] == ["accuracy", "other_accuracy", "other_token_recall", "yes_no_unparsed"]
    asked = lines(4, 1, None)
    assert score("vqa", asked)["judge_score"]["value"] == 2.5
    by = score_groups("vqa", asked, {"0": "a", "1": "b", "2": "c"})
    assert [by[name].get("judge_score", {}).get("value") for name in "abc"] == [4.0, 1.0, None]
