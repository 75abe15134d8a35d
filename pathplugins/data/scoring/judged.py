"""Scores by a judge: the mean grade, and how many answers have none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pathplugins.data.scoring.metrics import measure

GRADE = "grade"
"""Key of a line that was shown to a judge: its grade, `UNPARSED` or `FAILED`."""
UNPARSED = "unparsed"
"""The judge replied without a grade."""
FAILED = "failed"
"""The judge did not reply."""


def score_judged(lines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the mean grade with its interval, over the answers that have one, and the counts of those that have none.

    Args:
        lines: answered questions; those without `GRADE` were not shown to a judge, and do not count.
    """
    found = [line[GRADE] for line in lines if GRADE in line]
    if not found:
        return {}
    grades = np.array([grade for grade in found if isinstance(grade, int)], float)
    scores: dict[str, Any] = {}
    if len(grades):
        scores["judge_score"] = measure(lambda at: float(grades[at].mean()), len(grades))
    return {**scores, "judge_unparsed": found.count(UNPARSED), "judge_failed": found.count(FAILED)}
