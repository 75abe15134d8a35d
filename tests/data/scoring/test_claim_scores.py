"""Scores of claims: the published sums by hand, and what is left out is counted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.scoring.claim_scores import claim_scores


def write(folder: Path, rows: Any) -> Path:
    path = folder / "evaluation_results.json"
    path.write_text(rows if isinstance(rows, str) else json.dumps(rows))
    return path


def answer(kind: str | None, *scores: Any) -> dict[str, Any]:
    row = {"claim_results": [{"claim": "c", "score": score} for score in scores]}
    return row if kind is None else {**row, "type": kind}


def test_means_are_rounded_twice_as_published(tmp_path: Path) -> None:
    rows = {
        "a": answer("Report", 1, 0.7, 0.7),  # 0.8
        "b": answer("Report", 1, 0, 0),  # 0.333
        "c": answer("Report", 0.3, 0.3, 1),  # 0.533
        "d": answer("Staging", True, "0.7", None),  # true is 1, a text is no number
        "e": answer("Staging", "1"),
        "f": {"type": "Staging", "model_answer": "x"},
        "g": answer(None, 0.7),
    }
    found = claim_scores(write(tmp_path, rows))
    assert [*found] == ["all", "Report", "Staging", "default_type"]
    assert found["Report"]["claim_score"]["value"] == round((0.8 + 0.333 + 0.533) / 3, 3) == 0.555
    assert found["Staging"]["claim_score"]["value"] == 1
    assert found["all"]["claim_score"]["value"] == round((0.8 + 0.333 + 0.533 + 1 + 0.7) / 5, 3)
    assert found["all"]["claim_score"]["n"] == 5
    assert [found[name]["claim_unscored"] for name in found] == [2, 0, 2, 0]
    assert found["Report"]["claim_score"]["low"] <= 0.555 <= found["Report"]["claim_score"]["high"]


def test_answers_without_any_score_have_no_mean(tmp_path: Path) -> None:
    assert claim_scores(write(tmp_path, {"a": answer("Report")})) == {
        "all": {"claim_unscored": 1},
        "Report": {"claim_unscored": 1},
    }


@pytest.mark.parametrize(("rows", "said"), [("{", "is not JSON"), ([], "holds no answers"), ({"a": 1}, "no answers")])
def test_files_that_hold_none(tmp_path: Path, rows: Any, said: str) -> None:
    with pytest.raises(PathPluginsError, match=said):
        claim_scores(write(tmp_path, rows))
    with pytest.raises(PathPluginsError, match=r"nowhere\.json: no such file"):
        claim_scores(tmp_path / "nowhere.json")
