"""Every task scores the lines of a run."""

from __future__ import annotations

import pytest

from pathplugins.data.scoring.tasks import TASKS, Task, score, score_groups
from pathplugins.data.scoring.terms import Terms

LINES = [
    {"question": "Is it?\nA) yes\nB) no", "answer": "A) yes", "prediction": "A"},
    {"question": "Is it?\nA) yes\nB) no", "answer": "B) no", "prediction": "perhaps"},
]


@pytest.mark.parametrize(
    ("task", "name", "value"),
    [("vqa", "accuracy", 0.0), ("choices", "accuracy", 0.5), ("labels", "macro_f1", 0.0), ("report", "bleu_1", 0.0)],
)
def test_each_task_has_its_scores(task: Task, name: str, value: float) -> None:
    assert task in TASKS
    if task == "report":
        pytest.importorskip("rouge_score")
        value = 0.5 * 2.718281828**-1  # one of two words, of four wanted
    scores = score(task, LINES, labels=["A) yes", "B) no"], terms=Terms(["no"]))
    assert scores[name]["value"] == pytest.approx(value)
    assert scores[name]["n"] == 2


def test_groups_are_scored_by_themselves() -> None:
    lines = [{**line, "id": name} for line, name in zip([*LINES, LINES[0]], "abc", strict=True)]
    groups = {"a": "lung", "b": "breast", "c": "lung"}
    scores = score_groups("labels", lines, groups, labels=["A) yes", "B) no"])
    assert [*scores] == ["breast", "lung"]
    assert [*scores["lung"]] == ["accuracy", "micro_f1", "macro_f1", "unparsed", "questions"]
    assert [scores[name]["questions"] for name in scores] == [1, 2]
    scores = score_groups("choices", lines, groups)
    assert [scores[name]["accuracy"]["value"] for name in scores] == [0.0, 1.0]
