"""What stands for the picture: another one, never its own; no placeholder where there is none."""

from __future__ import annotations

import pytest

from pathplugins.commands.blinding import CONDITIONS, shown
from pathplugins.commands.questions import Question
from pathplugins.core.errors import PathPluginsError


def question(name: str, *images: str) -> Question:
    return Question("[" + "<image>\n" * len(images) + "Why?]", images, {"id": name, "images": [*images]})


QUESTIONS = [question("1", "a"), question("2", "b", "c"), question("3", "a"), question("4", "d")]


def test_another_picture_for_each() -> None:
    swapped = shown("shuffled", QUESTIONS)
    for before, after in zip(QUESTIONS, swapped, strict=True):
        assert (after.prompt, after.line["id"]) == (before.prompt, before.line["id"])
        assert after.line["images"] == [*after.images]
        assert all(x != y for x, y in zip(before.images, after.images, strict=True))
    assert swapped[0].images == swapped[2].images
    assert shown("shuffled", QUESTIONS) == swapped
    assert QUESTIONS[0].line["images"] == ["a"]
    with pytest.raises(PathPluginsError, match=r"all questions are about a, .* leave shuffled out of --conditions"):
        shown("shuffled", QUESTIONS[:1])


def test_no_picture_and_its_own() -> None:
    assert [(q.prompt, q.images) for q in shown("none", QUESTIONS)] == [("[Why?]", ())] * 4
    for condition in {*CONDITIONS} - {"none", "shuffled"}:
        assert shown(condition, QUESTIONS) == QUESTIONS
