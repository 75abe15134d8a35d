"""Conversations: whose turns they are, under which keys, and the message for what is none."""

from __future__ import annotations

from typing import Any

import pytest

from pathplugins.data.formats.reading.conversations import llava_draft, turns_of
from pathplugins.data.formats.reading.rows import BadRowError, Row

ASK, SAY = {"from": "human", "value": "<image>\nWhat?"}, {"from": "gpt", "value": "Tissue."}


def test_turns_under_other_keys_and_in_other_spellings() -> None:
    messages = [
        {"role": "System", "content": "Brief."},
        {"role": "USER", "content": "ä"},
        {"role": "gpt", "content": "B"},
    ]
    assert turns_of(messages, "role", "content") == [("system", "Brief."), ("user", "ä"), ("assistant", "B")]
    assert turns_of([ASK, SAY]) == [("user", "<image>\nWhat?"), ("assistant", "Tissue.")]


@pytest.mark.parametrize("value", [None, [], "text", {}])
def test_no_list_of_messages(value: Any) -> None:
    with pytest.raises(BadRowError, match="expected a list of from and value") as error:
        turns_of(value)
    assert error.value.reason == "no conversation"


@pytest.mark.parametrize(
    "message", [{"value": "x"}, {"from": "tool", "value": "x"}, {"from": ["a"], "value": "x"}, "x"]
)
def test_a_message_without_a_known_speaker(message: Any) -> None:
    with pytest.raises(BadRowError, match=r'expected \{"from": human \| user') as error:
        turns_of([ASK, message])
    assert error.value.reason == "malformed turn"


def test_a_draft_is_named_after_its_id_its_image_or_its_file() -> None:
    cells = {"image": "deep/a.b.png", "conversations": [SAY, ASK, SAY]}
    assert llava_draft(Row("m.json", 4, {**cells, "id": 7})).id == "7"
    draft = llava_draft(Row("m.json", 4, cells))
    assert (draft.id, draft.source, draft.row) == ("a.b", "m.json", 4)
    assert [turn.role for turn in draft.conversations] == ["user", "assistant"]  # the answer before it is left out
    assert llava_draft(Row("m.json", 4, {"conversations": [ASK, SAY]})).id == "m"
