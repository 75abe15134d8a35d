"""What is an answer, what a refusal, and what neither."""

from __future__ import annotations

from typing import Any

import pytest

from pathplugins.data_tools.captioning.replies import (
    Answer,
    RowFailedError,
    answer_of,
    error_text,
    is_filtered,
    usage_of,
)


def reply(content: Any, finish: str = "stop", **message: Any) -> dict[str, Any]:
    return {"model": "m-2", "choices": [{"message": {"content": content, **message}, "finish_reason": finish}]}


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (" Nests of cells.\n", "Nests of cells."),
        ([{"type": "text", "text": "Nests "}, {"type": "text", "text": "of cells."}], "Nests of cells."),
        ("<think>Is it lung?\nYes.</think>\n\nNests of cells.", "Nests of cells."),
    ],
)
def test_texts(content: Any, text: str) -> None:
    assert answer_of(reply(content), "m") == Answer(text, "m-2", "")


def test_the_model_that_was_asked_stands_in() -> None:
    assert answer_of({"choices": [{"message": {"content": "Cells."}}]}, "m") == Answer("Cells.", "m")


@pytest.mark.parametrize(
    "text",
    [
        "I'm sorry, but I can't assist with that request.",
        "I’m sorry, I cannot help with identifying medical conditions.",
        "Sorry, I can't provide medical advice.",
        "I am unable to view images.",
        "I'm not able to analyze medical images.",
        "As an AI language model, I cannot interpret histology.",
        "Unfortunately, I cannot see the image.",
        "I apologize, but I can't describe this image.",
    ],
)
def test_refusing_words(text: str) -> None:
    assert answer_of(reply(text), "m").refused == "refusing words"


@pytest.mark.parametrize(
    "text",
    [
        "I cannot exclude a carcinoma in situ.",
        "I cannot identify mitoses; the nuclei are bland.",
        "I can't see necrosis in this field.",
        "The image shows necrosis; I cannot identify mitoses.",
        "Nuclei cannot be described in detail.",
        "Sorry-looking glands with luminal debris.",
        "I see sheets of pleomorphic cells. I can't provide a grade.",
        "Unfortunately placed folds cross the tissue.",
    ],
)
def test_findings_are_no_refusals(text: str) -> None:
    assert answer_of(reply(text), "m") == Answer(text, "m-2", "")


def test_marked_refusals() -> None:
    assert answer_of(reply("Partly", "content_filter"), "m") == Answer("Partly", "m-2", "content_filter")
    assert answer_of(reply(None, "content_filter"), "m") == Answer("", "m-2", "content_filter")
    assert answer_of(reply(None, refusal="Not that."), "m") == Answer("Not that.", "m-2", "refusal")
    assert is_filtered({"error": {"code": "content_filter", "message": "triggered"}})
    assert not is_filtered({"error": {"code": "context_length_exceeded"}})


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (reply("Nests of", "length"), "cut off"),
        (reply("<think>Is it", "length"), "cut off"),
        (reply(""), "empty answer"),
        (reply(None, "tool_calls"), "empty answer"),
        (reply("Nests \ud83d"), "unreadable reply"),
        (reply("<think>only</think> "), "empty answer"),
        ({"choices": []}, "unreadable reply"),
        ({"choices": [{"message": None}]}, "unreadable reply"),
        ([1], "unreadable reply"),
        ({"error": {"message": "upstream fell over"}}, "server error"),
    ],
)
def test_neither(body: Any, reason: str) -> None:
    with pytest.raises(RowFailedError) as failed:
        answer_of(body, "m")
    assert failed.value.reason == reason


def test_errors_and_tokens() -> None:
    assert error_text({"error": {"message": "too long"}}) == "too long"
    assert error_text({"error": "busy"}) == "busy"
    assert error_text({"detail": "Invalid role"}) == "Invalid role"
    assert error_text({"object": "error", "message": "no such model"}) == "no such model"
    assert error_text("<html>") == "<html>"
    assert usage_of({"usage": {"prompt_tokens": 3, "completion_tokens": 4}}) == (3, 4)
    assert usage_of({"usage": None}) is None
    assert usage_of({"usage": {"prompt_tokens": 3}}) is None
