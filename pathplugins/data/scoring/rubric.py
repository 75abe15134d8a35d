"""The rubric of a judge: the prompt that asks a language model for a grade, and the grade in its reply."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

BEST = 4
"""Grades are whole numbers from 0 to this one."""

_FILE = Path(__file__).with_name("judge_rubric.txt")
_SLOT = re.compile(r"\{(question|reference|answer)\}")
_GRADE = re.compile(r"^\W*(?:final )?score\W+(\d+(?:\.\d+)?)(?:\s*/\s*\d+)?\W*$", re.IGNORECASE | re.MULTILINE)


@cache
def rubric() -> str:
    """Return the prompt, with a slot for each of the three texts."""
    return _FILE.read_text(encoding="utf-8").strip()


def judge_prompt(question: str, reference: str, answer: str) -> str:
    """Return the prompt about one answer; slots that stand in the texts themselves are left alone."""
    texts = {"question": question, "reference": reference, "answer": answer}
    return _SLOT.sub(lambda slot: texts[slot[1]].strip(), rubric())


def grade_in(reply: str) -> int | None:
    """Return the grade of a reply; None where no line gives one, lines disagree, or it is not on the scale."""
    found = {float(text) for text in _GRADE.findall(reply)}
    grade = found.pop() if len(found) == 1 else -1.0
    return int(grade) if grade in range(BEST + 1) else None
