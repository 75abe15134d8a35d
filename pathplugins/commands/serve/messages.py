"""Messages of a chat completion: their texts, and the one file that the first of the user brings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pathplugins.commands.serve.refusals import FieldError
from pathplugins.models.custom_llava.input_files import Reads

_KEYS = ("role", "content")
_ROLES = ("system", "developer", "user", "assistant")
_WEB = ("http://", "https://")


class Reference(NamedTuple):
    """A file as a message names it."""

    kind: str
    """``data``: a data URL; ``upload``: the id of an upload; ``path``: a path or ``file:`` URL below a root."""
    text: str


class Talk(NamedTuple):
    """The messages of a request, read."""

    messages: list[dict[str, str]]
    """``role`` and ``content``, a text."""
    file: Reference
    """What the conversation is about."""


def read_messages(messages: Any, *, reads: Reads, model: str) -> Talk:
    """Read the messages of a request.

    The first message of the user brings the file, and the conversation stays about it: a later one may name the same
    again, as clients do that send every message as it was, and no other.

    Args:
        messages: as they came.
        reads: what the model reads.
        model: its name, for messages.

    Raises:
        FieldError: they are no messages, hold what is not read, name no file, or more than one.
    """
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        raise FieldError("messages is a list of objects with role and content", field="messages")
    talk: list[dict[str, str]] = []
    file: Reference | None = None
    for number, message in enumerate(messages):
        where = f"messages[{number}]"
        text, files = _content(message, where)
        first = not any(said["role"] == "user" for said in talk)
        for reference in files:
            if message["role"] != "user":
                raise _wrong(f"{where}: only messages of the user bring a file", where)
            if file is None and first:
                file = reference
            elif reference != file:
                raise _wrong(
                    f"{where}: a conversation is about one file, that of its first message of the user; begin another "
                    "conversation for another file",
                    where,
                )
        talk.append({"role": message["role"], "content": text})
    if file is None:
        others = "" if reads == "bags" else ", or data:image/png;base64,..."
        raise FieldError(
            f"{model} reads {reads} and was given none: it would answer from its language model alone. Put a file into "
            'the first message of the user: {"type": "image_url", "image_url": {"url": "FILE"}}, where FILE is a path '
            f"below a root of the server{others}",
            field="messages",
        )
    return Talk(talk, file)


def _content(message: Mapping[str, Any], where: str) -> tuple[str, list[Reference]]:
    """Return the text of a message and the files that it names."""
    if not isinstance(message.get("role"), str):
        raise _wrong(f"{where} has no role; give system, user or assistant", where)
    if message["role"] not in _ROLES:
        raise _wrong(f"{where} is of {message['role']!r:.40}, expected system, user or assistant", where)
    _check_keys(message, _KEYS, where)
    content = message.get("content")
    if isinstance(content, str):
        return content, []
    if not isinstance(content, list) or not all(isinstance(part, dict) for part in content):
        raise _wrong(f"{where}.content is a text, or a list of parts", where)
    texts, files = [], []
    for number, part in enumerate(content):
        place = f"{where}.content[{number}]"
        if part.get("type") == "text" and isinstance(part.get("text"), str):
            texts.append(part["text"])
        elif part.get("type") == "image_url":
            files.append(_image(part.get("image_url"), place))
        elif part.get("type") == "file":
            files.append(_upload(part.get("file"), place))
        else:
            raise _wrong(f"{place}: expected a part of type text, image_url or file", place)
        _check_keys(part, ("type", part["type"]), place)
    return "\n".join(texts), files


def _check_keys(given: Mapping[str, Any], known: Sequence[Any], place: str) -> None:
    """Refuse what would not be read."""
    if unread := [name for name, value in given.items() if name not in known and value not in (None, [])]:
        raise _wrong(f"{place}.{unread[0]:.60} is not supported by this server; leave it out", place)


def _image(image: Any, place: str) -> Reference:
    if not isinstance(image, dict) or not isinstance(url := image.get("url"), str):
        raise _wrong(f'{place}: expected "image_url": {{"url": "FILE"}}', place)
    _check_keys(image, ("url", "detail"), f"{place}.image_url")
    if image.get("detail") not in (None, "auto"):
        raise _wrong(f"{place}: detail is not supported by this server; the model reads images in one way", place)
    if url.lower().startswith(_WEB):
        raise _wrong(
            f"{place}: this server fetches nothing from the web; send a data URL, upload it to /v1/files, or name a "
            "file below a root",
            place,
        )
    return Reference("data" if url[:5].lower() == "data:" else "path", url)


def _upload(file: Any, place: str) -> Reference:
    if not isinstance(file, dict) or not isinstance(name := file.get("file_id"), str) or len(file) > 1:
        raise _wrong(f'{place}: expected "file": {{"file_id": "ID"}}, an upload to /v1/files', place)
    return Reference("upload", name)


def _wrong(message: str, field: str) -> FieldError:
    return FieldError(message, field=field)
