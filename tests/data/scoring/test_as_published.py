"""Sums of a publication's scores: means by hand, nothing divided by zero, nothing left out in silence."""

from __future__ import annotations

from typing import Any

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.scoring.as_published import check_published, score_as_published


def scored(task: Any, *rows: tuple[str, ...]) -> dict[str, Any]:
    """Values of (question, answer, prediction) with the type of each."""
    lines = [
        {"id": str(n), "question": question, "answer": answer, "prediction": said}
        for n, (question, answer, said, _) in enumerate(rows)
    ]
    found = score_as_published("quilt-llava", task, lines, {str(n): row[3] for n, row in enumerate(rows)})
    return {name: score["value"] if isinstance(score, dict) else score for name, score in found.items()}


def test_open_and_closed_questions_by_hand() -> None:
    found = scored(
        "vqa",
        ("?", "a gland", "gland gland", "OPEN"),
        ("?", "tumor", "stroma", "other"),
        ("?", "red blood cells", "blood cells of the marrow", "open"),
        ("?", "Yes", "", "CLOSED"),
        ("?", "no.", "It is not", "closed"),
        ("?", "No", "Certainly", "closed"),
        ("?", "perhaps", "yes", "closed"),
        ("?", "Yes", "Yes", "maybe"),
        ("?", "x", "x", "(none)"),
    )
    assert found == pytest.approx(
        {
            "exact_match": (1 / 2 + 0 + 2 / 4) / 3,
            "f1": (1 + 0 + 4 / 7) / 3,
            "precision": (1 + 0 + 2 / 4) / 3,
            "recall": (1 + 0 + 2 / 3) / 3,
            "yes_no_accuracy": 2 / 3,
            "closed_without_yes_or_no": 1,
            "unknown_answer_type '(none)'": 1,
            "unknown_answer_type 'maybe'": 1,
        }
    )


def test_nothing_is_divided_by_zero() -> None:
    assert scored("vqa", ("?", "yes", "no", "closed")) == {"yes_no_accuracy": 0, "closed_without_yes_or_no": 0}
    assert scored("vqa", ("?", "x", "x", "odd")) == {"closed_without_yes_or_no": 0, "unknown_answer_type 'odd'": 1}


def test_letters() -> None:
    question = "Which?\nA: benign\nB: malignant"
    found = scored(
        "choices",
        (question, "B", "The answer is B", ""),  # taken for T
        (question, "A: benign", "A: benign", ""),
        (question, "B", "b", ""),
        (question, "A", "A nest of cells", ""),
    )
    assert found == {"letter_accuracy": 2 / 4, "letter_failed": 1}


def test_a_task_without_published_scores() -> None:
    check_published("quilt-llava", "vqa")
    with pytest.raises(PathPluginsError, match="--as-published quilt-llava scores --task vqa or choices, not report"):
        check_published("quilt-llava", "report")
