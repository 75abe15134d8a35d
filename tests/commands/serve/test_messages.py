"""A conversation is about the one file of its first message of the user, told in parts as OpenAI has them."""

from __future__ import annotations

from typing import Any

import pytest

from pathplugins.commands.serve.messages import Reference, Talk, read_messages
from pathplugins.commands.serve.refusals import FieldError

BAG = {"type": "image_url", "image_url": {"url": "a.h5", "detail": "auto"}}
TEXT = {"type": "text", "text": "What?"}


def read(*messages: Any) -> Talk:
    return read_messages([*messages], reads="bags", model="m")


def user(*parts: Any) -> dict[str, Any]:
    return {"role": "user", "content": [*parts]}


def test_texts_and_the_file() -> None:
    system = {"role": "system", "content": [{"type": "text", "text": "Be brief."}]}
    told = {"role": "assistant", "content": "A slide.", "refusal": None, "tool_calls": []}
    talk = read(system, user(BAG, TEXT, {"type": "text", "text": "Why?"}), told, user(TEXT, BAG))
    assert talk.file == Reference("path", "a.h5")
    assert talk.messages == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What?\nWhy?"},
        {"role": "assistant", "content": "A slide."},
        {"role": "user", "content": "What?"},
    ]


@pytest.mark.parametrize(
    ("part", "found"),
    [
        ({"type": "image_url", "image_url": {"url": "DATA:image/png;base64,x"}}, ("data", "DATA:image/png;base64,x")),
        ({"type": "image_url", "image_url": {"url": "file:///a.h5"}}, ("path", "file:///a.h5")),
        ({"type": "file", "file": {"file_id": "file-1"}}, ("upload", "file-1")),
    ],
)
def test_kinds_of_files(part: dict[str, Any], found: tuple[str, str]) -> None:
    assert read(user(part, TEXT)).file == found


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        ([], "m reads bags and was given none: it would answer from its language model alone"),
        ([{"role": "user", "content": "What?"}], "m reads bags and was given none"),
        (["What?"], "messages is a list of objects"),
        ([user(BAG, TEXT), {"role": "assistant", "content": "A"}, user(TEXT, {**BAG, "image_url": {"url": "b.h5"}})],
         "messages[2]: a conversation is about one file"),
        ([user(BAG, {**BAG, "image_url": {"url": "b.h5"}})], "messages[0]: a conversation is about one file"),
        ([user(TEXT), {"role": "assistant", "content": "A"}, user(BAG)], "messages[2]: a conversation is about one"),
        ([{"role": "system", "content": [BAG]}], "messages[0]: only messages of the user bring a file"),
        ([{"content": "What?"}], "messages[0] has no role"),
        ([{"role": "User", "content": [BAG, TEXT]}], "messages[0] is of 'User', expected system, user or assistant"),
        ([user({**BAG, "text": "What?"})], "messages[0].content[0].text is not supported by this server"),
        ([user({**BAG, "image_url": {"url": "a", "x": 1}})], "messages[0].content[0].image_url.x is not supported"),
        ([user(BAG, {**TEXT, "cache_control": {"type": "x"}})], "messages[0].content[1].cache_control is not"),
        ([{"role": "user", "content": 5}], "messages[0].content is a text, or a list of parts"),
        ([{"role": "user", "content": ["What?"]}], "messages[0].content is a text, or a list of parts"),
        ([user({"type": "input_audio"})], "messages[0].content[0]: expected a part of type text, image_url or file"),
        ([user({"type": "text"})], "messages[0].content[0]: expected a part"),
        ([user({"type": "image_url", "image_url": "a.h5"})], 'messages[0].content[0]: expected "image_url": {"url"'),
        ([user({"type": "image_url", "image_url": {"url": "a", "detail": "low"}})], "messages[0].content[0]: detail"),
        ([user({"type": "image_url", "image_url": {"url": "HTTPS://x"}})], "messages[0].content[0]: this server"),
        ([user({"type": "file", "file": {"file_data": "x"}})], 'messages[0].content[0]: expected "file": {"file_id"'),
        ([{"role": "user", "content": "What?", "name": "me"}], "messages[0].name is not supported"),
        ([{"role": "assistant", "content": "A", "tool_calls": [1]}], "messages[0].tool_calls is not supported"),
    ],
)  # fmt: skip
def test_what_cannot_be_read(messages: list[Any], said: str) -> None:
    with pytest.raises(FieldError) as error:
        read(*messages)
    assert str(error.value).startswith(said)


def test_a_model_of_images_is_told_how_to_send_one() -> None:
    with pytest.raises(FieldError, match="or data:image/png;base64"):
        read_messages([], reads="images", model="m")
    with pytest.raises(FieldError, match="messages is a list"):
        read_messages(None, reads="images", model="m")
