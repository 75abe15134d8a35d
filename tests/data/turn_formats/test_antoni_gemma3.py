"""ANTONI-Alpha's format against one text tokenized whole, with a tokenizer that has Gemma 3's pieces."""

from __future__ import annotations

from typing import Any

import antoni_reference as reference
import pytest
from gemma_models import gemma_tokenizer

from pathplugins.data.records import Record, Turn
from pathplugins.data.turn_formats import FORMATS
from pathplugins.data.turn_formats.encode import encode
from pathplugins.data.turn_formats.turn_format import misread

FORMAT = FORMATS.get("antoni_gemma3")
WIDTH = 3


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return gemma_tokenizer(text for turns in reference.CONVERSATIONS.values() for turn in turns for text in turn)


def turns_of(turns: reference.Turns, system: str) -> list[Turn]:
    said = [Turn("system", system)] if system else []
    return said + [turn for asked, told in turns for turn in (Turn("user", asked), Turn("assistant", told))]


@pytest.mark.parametrize("system", ["", reference.SYSTEM], ids=["plain", "system"])
@pytest.mark.parametrize("name", reference.CONVERSATIONS)
def test_ids_and_labels_are_those_of_antoni_alpha(tokenizer: Any, name: str, system: str) -> None:
    turns = reference.CONVERSATIONS[name]
    images = sum(question.count("<image>") for question, _ in turns)
    wanted = reference.ids_and_labels(turns, tokenizer, [WIDTH] * images, system=system)
    [made] = encode(FORMAT, [turns_of(turns, system)], tokenizer)
    soft = tokenizer.convert_tokens_to_ids("<image_soft_token>")
    ids: list[int] = []
    labels: list[int] = []
    for asked, lead, answer in made.rounds:
        wide = [token for id_ in asked for token in ([soft] * WIDTH if id_ == -200 else [id_])]
        ids += wide + lead + answer
        labels += [reference.MASKED] * len(wide) + lead + answer
    ids, labels = ids + made.after, labels + [reference.MASKED] * len(made.after)
    assert (ids, labels, len(made.after)) == wanted
    assert ids[:3] == [2, 2, tokenizer.convert_tokens_to_ids("<start_of_turn>")]


def test_line_breaks_before_an_image_are_one_piece(tokenizer: Any) -> None:
    """``user`` and two line breaks of the image's marker are three, which Gemma has as one."""
    [made] = encode(FORMAT, [turns_of([("<image>\nTumour?", "Yes.")], "")], tokenizer)
    assert tokenizer.convert_tokens_to_ids("\n\n\n") in made.rounds[0].asked


def test_an_answer_given_twice_is_learnt_twice(tokenizer: Any) -> None:
    """Upstream looks for the ids of an answer and marks the first place alone."""
    [made] = encode(FORMAT, [turns_of(reference.CONVERSATIONS["no image, the same answer twice"], "")], tokenizer)
    assert len(made.rounds) == 2
    assert made.rounds[0].answer == made.rounds[1].answer != []


@pytest.mark.parametrize("marker", FORMAT.markers)
def test_a_marker_in_a_text_is_a_bad_sample(marker: str) -> None:
    """Upstream would learn what a user typed behind the tag of the model, and end an answer at a tag within it."""
    turns = (Turn("user", f"Say {marker}."), Turn("assistant", "No."))
    record = Record(id="a", conversations=turns, images=(), meta={}, source="s", row=1)
    assert [bad.reason for bad in misread(FORMAT, [record])] == ["marker in the text"]
