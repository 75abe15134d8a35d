"""Token ids of conversations in a chat format, and which of them are learnt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from pathplugins.data.llava_format import IMAGE
from pathplugins.data.records import IMAGE_PLACEHOLDER, Turn
from pathplugins.data.turn_formats.turn_format import TurnFormat, cut, rounds


class Round(NamedTuple):
    """Token ids of a question and its answer, with `IMAGE` (-200) where an image stands; the answer is learnt."""

    asked: list[int]
    lead: list[int]
    """What opens the answer; learnt if the format says so."""
    answer: list[int]
    """Empty where it is still to be generated."""


class Encoded(NamedTuple):
    """A conversation as token ids."""

    rounds: list[Round]
    after: list[int]
    """What stands behind the last answer, not learnt; empty where that is still to be generated."""


def encode(
    turn_format: TurnFormat, conversations: Sequence[Sequence[Turn]], tokenizer: Any, *, system: str = ""
) -> list[Encoded]:
    """Encode conversations, each piece of text by itself.

    Args:
        turn_format: their format.
        conversations: see `turn_format.rounds`.
        tokenizer: of the language model.
        system: likewise.
    """
    written = [rounds(turn_format, turns, system) for turns in conversations]
    pieces = {turn_format.after: None} if turn_format.after else {}
    for one in written:
        for asked, lead, answer in one:
            pieces.update(dict.fromkeys([*asked, lead, answer]))
    pieces.pop(IMAGE_PLACEHOLDER, None)
    # One call for all: fast tokenizers work on many texts at once, and many of these texts are the same.
    found = tokenizer([*pieces], add_special_tokens=False, verbose=False)["input_ids"] if pieces else []
    ids = {**dict(zip(pieces, found, strict=True)), IMAGE_PLACEHOLDER: [IMAGE], "": []}
    return [
        Encoded(
            [
                Round([token for piece in asked for token in ids[piece]], ids[lead], ids[answer])
                for asked, lead, answer in one
            ],
            ids[turn_format.after] if one and one[-1].answer else [],
        )
        for one in written
    ]


def prompt_ids(turn_format: TurnFormat, text: str, tokenizer: Any) -> list[int]:
    """Return the token ids of a prompt that the chat template of the format wrote, cut as in training.

    Args:
        turn_format: its format.
        text: without images, or what stands between two of them.
        tokenizer: of the language model.
    """
    pieces = cut(turn_format, text)
    found = tokenizer(pieces, add_special_tokens=False)["input_ids"] if pieces else []
    return [token for ids in found for token in ids]
