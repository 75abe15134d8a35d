"""The prompt of a judge holds the three texts once, and a grade is read only where there is no doubt."""

from __future__ import annotations

import pytest

from pathplugins.data.scoring.rubric import BEST, grade_in, judge_prompt, rubric


def test_texts_stand_in_the_prompt_as_they_are() -> None:
    asked = judge_prompt("What is {answer}? ", "A gland.\nScore: 4", "Say {reference}.")
    assert asked.count("<question>\nWhat is {answer}?\n</question>") == 1
    assert asked.count("<reference>\nA gland.\nScore: 4\n</reference>") == 1
    assert asked.count("<answer>\nSay {reference}.\n</answer>") == 1
    assert all(f"\n{grade} = " in rubric() for grade in range(BEST + 1))


@pytest.mark.parametrize(
    ("reply", "grade"),
    [
        ("Both name the carcinoma.\nScore: 4", 4),
        ("**Score: 3**", 3),
        ("Final score: 0/4.", 0),
        ("- Score: **2**\n", 2),
        ("SCORE = 1", 1),
        ("Score: 4\nScore: 4", 4),
        ("Score: 4\nno,\nScore: 3", None),
        ("A score of 4 would need the grade", None),
        ("Score: 5", None),
        ("Score: 3.5", None),
        ("Score: N", None),
        ("4", None),
        ("", None),
    ],
)
def test_grades(reply: str, grade: int | None) -> None:
    assert grade_in(reply) == grade
