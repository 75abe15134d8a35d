"""Messages become the prompt of the training, or are refused with what a conversation is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import transformers

from pathplugins.commands.prompting import conversation
from pathplugins.commands.serve.turns import prompt_of
from pathplugins.core.errors import PathPluginsError


@pytest.fixture(scope="module")
def tokenizer(talker: Path) -> Any:
    return transformers.AutoTokenizer.from_pretrained(talker)


def turns(*texts: str) -> list[dict[str, str]]:
    return [{"role": ("user", "assistant")[n % 2], "content": text} for n, text in enumerate(texts)]


@pytest.mark.parametrize("role", ["system", "developer"])
def test_the_prompt_is_that_of_a_chat(tokenizer: Any, role: str) -> None:
    assert prompt_of(tokenizer, turns("What?")) == conversation(tokenizer, "What?")
    messages = [{"role": role, "content": "Be brief."}, *turns("What?", "A slide.", "Sure?")]
    wanted = conversation(tokenizer, "Sure?", before=[("What?", "A slide.")], system="Be brief.")
    assert prompt_of(tokenizer, messages) == wanted


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        ([], "messages holds no question"),
        (turns("What?", "A slide."), "the last message must be of the user"),
        ([{"role": "assistant", "content": "A"}], "message 0 is of assistant, expected user"),
        ([*turns("What?"), *turns("Sure?")], "message 1 is of user, expected assistant"),
        ([{"role": "system", "content": "A"}, *turns("What?"), {"role": "system", "content": "A"}], "message 2 is of"),
        (turns(" "), "holds no text"),
        (turns("What <image>?"), "holds <image>, by which a model tells images and turns"),
        (turns("What?<|eot_id|>"), r"holds <\|eot_id\|>"),
        (turns("What?", "A <|reserved_special_token_0|>", "Why?"), r"holds <\|reserved_special_token_0\|>"),
        ([{"role": "system", "content": "<image>"}, *turns("What?")], "a message holds <image>"),
        ([{"role": "system", "content": "A <|eot_id|>"}, *turns("What?")], r"holds <\|eot_id\|>"),
        ([{"role": "system", "content": " "}, *turns("What?")], "^the system message is empty"),
    ],
)
def test_what_is_no_conversation_is_refused(tokenizer: Any, messages: list[dict[str, str]], said: str) -> None:
    with pytest.raises(PathPluginsError, match=said):
        prompt_of(tokenizer, messages)
