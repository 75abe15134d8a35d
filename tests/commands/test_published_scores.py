"""Options of published scores: which questions they need told apart, and how they are shown."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from pathplugins.commands.published_scores import PublishedScores, add_arguments, tables
from pathplugins.commands.questions import QuestionSet
from pathplugins.core.errors import PathPluginsError


def asked(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(words)


def test_open_and_closed_questions_are_told_apart_where_it_matters() -> None:
    test = QuestionSet(
        data=Path("x"), format="llava", image_folder=None, format_options=(), limit=None, on_bad_sample="error",
        task="vqa", allow_other_encoder=False, wanted_by=("organ",),
    )  # fmt: skip
    assert PublishedScores.of(asked(), "vqa") is None
    published = PublishedScores.of(asked("--as-published", "quilt-llava"), "vqa")
    assert published.needed(test).wanted_by == ("organ", "answer_type")
    assert published.needed(test._replace(task="choices")).wanted_by == ("organ",)


def test_they_are_labelled() -> None:
    published = PublishedScores(name="quilt-llava", reviews={"all": {"gpt_unreadable": 3}})
    line = {"id": "a", "question": "?", "answer": "no", "prediction": "not seen"}
    told = published.told("vqa", [line], {"answer_type": {"a": "closed"}})
    scores, reviews = tables(told)
    assert scores.startswith("as published by quilt-llava (other formulas than above)\n")
    assert "yes_no_accuracy           1.0000" in scores
    assert reviews.splitlines()[0] == "reviews of a GPT: all"
    assert reviews.splitlines()[-1].split() == ["gpt_unreadable", "3"]


def test_reviews_alone() -> None:
    with pytest.raises(
        PathPluginsError, match=r"--reviews belongs to --as-published quilt-llava\|wsi-llava; give both"
    ):
        PublishedScores.of(asked("--reviews", "r.jsonl"), "vqa")


def test_claims_are_summed_up_by_their_own_rule(tmp_path: Path) -> None:
    file = tmp_path / "evaluation_results.json"
    file.write_text('{"q1": {"type": "Report", "claim_results": [{"score": 0.7}, {"score": 0.3}, {"score": 1}]}}')
    published = PublishedScores.of(asked("--as-published", "wsi-llava", "--reviews", str(file)), "report")
    told = published.told("report", [], {})
    assert told["metrics"] == {}
    overall, report = tables(told)
    assert overall.startswith("reviews of a GPT: all, summed up as by wsi-llava\n")
    assert "claim_score" in report
    assert "0.667" in report
    with pytest.raises(PathPluginsError, match="give --reviews FILE"):
        PublishedScores.of(asked("--as-published", "wsi-llava"), "report")
    with pytest.raises(PathPluginsError, match="wsi-llava scores --task report, not vqa"):
        PublishedScores.of(asked("--as-published", "wsi-llava", "--reviews", str(file)), "vqa")
