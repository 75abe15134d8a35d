"""Turn LLaVA's conversations, and lists of messages under other keys, into drafts and turns."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pathplugins.data.formats.reading.media import images_in
from pathplugins.data.formats.reading.rows import BadRowError, Row, checked_text, shown, text_of
from pathplugins.data.records import Record, Turn

Role = Literal["system", "user", "assistant"]
Roles = Mapping[str, Role]

_new_turn = tuple.__new__  # twice as fast as the constructor of the named tuple

_NO_NAMES: Mapping[str, str] = {}

ROLES: dict[str, Role] = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "system": "system",
}


def llava_draft(
    row: Row, columns: Mapping[str, str] = _NO_NAMES, tags: Mapping[str, str] = _NO_NAMES, roles: Roles = ROLES
) -> Record:
    """Make the draft (see ``reading.assembly``) of one LLaVA sample.

    Without an ``id`` the sample is named after its first image, without images after its file.

    Args:
        row: The sample.
        columns: Its keys where they are not LLaVA's: ``messages`` and ``images``.
        tags: Keys of a message likewise: ``role_tag`` and ``content_tag``.
        roles: Speaker -> role.
    """
    images = images_in(row.cells, *((columns["images"],) if "images" in columns else ("image", "images")))
    key, names = (
        columns.get("messages", "conversations"),
        (tags.get("role_tag", "from"), tags.get("content_tag", "value")),
    )
    return Record(
        id=text_of(row.cells, "id") or Path(images[0] if images else row.source).stem,
        conversations=_from_first_question(turns_of(row.cells.get(key), *names, key=key, roles=roles)),
        images=images,
        meta={},
        source=row.source,
        row=row.number,
    )


def roles_with(tags: Mapping[str, str]) -> Roles:
    """Return speaker -> role with the speakers that ``user_tag``, ``assistant_tag`` and ``system_tag`` name."""
    own = {"user_tag": "user", "assistant_tag": "assistant", "system_tag": "system"}
    return {**ROLES, **{tags[tag]: role for tag, role in own.items() if tag in tags}}


def turns_of(
    value: Any, speaker: str = "from", text: str = "value", *, key: str = "conversations", roles: Roles = ROLES
) -> list[Turn]:
    """Return the turns in a list of messages.

    Args:
        value: The list.
        speaker: Key of the speaker in a message.
        text: Key of the text in a message.
        key: Key of the list, for messages.
        roles: Speaker -> role.

    Raises:
        BadRowError: not a list, or a message without a known speaker or a text.
    """
    if not isinstance(value, list) or not value:
        raise BadRowError("no conversation", f"{key} is {shown(value)}; expected a list of {speaker} and {text}")
    turns = []
    for message in value:
        try:
            role, said = roles[message[speaker]], message[text]
        except (KeyError, TypeError):  # TypeError: the message is no dictionary, or the speaker is unhashable
            role, said = _speaker_and_text(message, speaker, text, roles)
        if said.__class__ is not str:
            raise _malformed(message, speaker, text, roles)
        turns.append(_new_turn(Turn, (role, said if said.isascii() else checked_text(said, text))))
    return turns


def _speaker_and_text(message: Any, speaker: str, text: str, roles: Roles) -> tuple[Role, Any]:
    """Return speaker and text of a message whose speaker is not spelled as in ``roles``."""
    who = message.get(speaker) if isinstance(message, dict) else None
    if not isinstance(who, str) or who.casefold() not in roles:
        raise _malformed(message, speaker, text, roles)
    return roles[who.casefold()], message.get(text)


def _malformed(message: Any, speaker: str, text: str, roles: Roles) -> BadRowError:
    expected = f'expected {{"{speaker}": {" | ".join(roles)}, "{text}": text}}'
    return BadRowError("malformed turn", f"a turn is {shown(message)}; {expected}")


def _from_first_question(turns: list[Turn]) -> tuple[Turn, ...]:
    if turns[0].role == "user":
        return tuple(turns)
    start = 1 if turns[0].role == "system" else 0
    while turns[start:] and turns[start].role == "assistant":
        del turns[start]
    return tuple(turns)
