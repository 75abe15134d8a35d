"""Turns: the messages of a request as a conversation that the model was trained to continue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pathplugins.commands.prompting import conversation
from pathplugins.core.errors import PathPluginsError
from pathplugins.data.records import IMAGE_PLACEHOLDER

_SYSTEM = ("system", "developer")


def prompt_of(tokenizer: Any, messages: Sequence[Mapping[str, str]]) -> str:
    """Return the prompt for the last message, with the image in the first turn.

    Args:
        tokenizer: the model's own.
        messages: ``role`` and ``content``, a text, of each turn.

    Raises:
        PathPluginsError: the roles are in no order that a conversation has, a text is empty or holds special tokens,
            or the chat template does not take it.
    """
    turns = [*messages]
    special = [token.content for token in tokenizer.added_tokens_decoder.values() if token.special]
    special = dict.fromkeys([IMAGE_PLACEHOLDER, *special, *tokenizer.all_special_tokens])
    for turn in turns:
        if found := next((token for token in special if token in turn["content"]), None):
            raise PathPluginsError(f"a message holds {found}, by which a model tells images and turns; leave it out")
    system = turns.pop(0)["content"] if turns and turns[0]["role"] in _SYSTEM else None
    for number, turn in enumerate(turns):
        wanted = ("user", "assistant")[number % 2]
        if turn["role"] != wanted:
            raise PathPluginsError(
                f"message {number + len(messages) - len(turns)} is of {turn['role']}, expected {wanted}: messages are "
                "one of system if any, then user and assistant in turn"
            )
        if not turn["content"].strip() and wanted == "user":
            raise PathPluginsError("a message of the user holds no text; ask something")
    if len(turns) % 2 == 0:
        raise PathPluginsError("the last message must be of the user" if turns else "messages holds no question")
    asked, told = [turn["content"] for turn in turns[::2]], [turn["content"] for turn in turns[1::2]]
    before = [*zip(asked, told, strict=False)]
    try:
        return conversation(tokenizer, asked[-1], before=before, system=system)
    except PathPluginsError as error:
        raise PathPluginsError(str(error).replace("--system", "the system message")) from error
