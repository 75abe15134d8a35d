"""What a chat format is made of, and how a conversation is written in it, piece by piece."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from pathplugins.data.records import IMAGE_PLACEHOLDER, BadSample, Record, Turn


@dataclass(frozen=True, kw_only=True)
class TurnFormat:
    """One exact chat format. What holds text is a pair: what stands before it, and what behind it."""

    name: str
    """As in `FORMATS`."""
    source: str
    """Where it was read."""
    markers: tuple[str, ...]
    """Special tokens it writes, which no text of a sample may hold."""
    user: tuple[str, str]
    """Around what the user says."""
    lead: str
    """Opens an answer."""
    end: str
    """Ends an answer and is learnt with it."""
    after: str = ""
    """Stands behind an answer and is not learnt."""
    begin: str = ""
    """Opens the conversation, before the system prompt."""
    system: tuple[str, str] | None = None
    """Around the system prompt; None where the format has no place for one."""
    system_inside: bool = False
    """The system prompt opens the first turn of the user, and is no turn of its own."""
    default_system: str = ""
    """System prompt of a conversation that brings none; empty for none."""
    lead_learnt: bool = False
    """What opens an answer is learnt, too."""
    images: Literal["turn", "conversation"] = "turn"
    """Where images stand, wherever their placeholders do: at the front of their turn, or before all text."""
    image: tuple[str, str] = ("", "")
    """Around each image."""
    gap: str = ""
    """Between the images of a turn and its text."""
    listed: str = ""
    """A line behind the text of a turn for each of its images, with ``{}`` for its number in the conversation."""
    strip: bool = False
    """Blanks around questions and answers go; around the text of a turn with images they always do."""
    stop_words: tuple[str, ...]
    """Special tokens at which an answer is over, the one that ends it first."""


class Round(NamedTuple):
    """One question and its answer, in pieces that are tokenized by themselves; the piece ``<image>`` is an image."""

    asked: list[str]
    lead: str
    answer: str
    """With what ends it; empty where it is still to be generated."""


def rounds(turn_format: TurnFormat, turns: Sequence[Turn], system: str = "") -> list[Round]:
    """Write a conversation.

    Args:
        turn_format: its format.
        turns: user and assistant in turn, behind a system turn or none; the last answer may be empty.
        system: system prompt of a conversation without a system turn, instead of the format's own.
    """
    system = system or turn_format.default_system
    if turns and turns[0].role == "system":
        system, turns = turns[0].text, turns[1:]
    f, written = turn_format, []
    told = "".join((f.system[0], system, f.system[1])) if f.system and system else ""
    front = ""
    if f.images == "conversation":
        front = _images(f, sum(turn.text.count(IMAGE_PLACEHOLDER) for turn in turns))
    seen = 0
    for number, (question, answer) in enumerate(zip(turns[::2], turns[1::2], strict=True)):
        opening = f"{front}{f.begin}" if number == 0 else ""
        outside, inside = ("", told) if f.system_inside else (told, "")
        if number:
            outside = inside = ""
        asked = f"{opening}{outside}{f.user[0]}{inside}{placed(f, question.text, seen)}{f.user[1]}"
        seen += question.text.count(IMAGE_PLACEHOLDER)
        text = answer.text.strip() if f.strip else answer.text
        pieces = [f.after] * (number > 0 and bool(f.after)) + _pieces(asked)
        written.append(Round(pieces, f.lead, f"{text}{f.end}" if text else ""))
    return written


def placed(turn_format: TurnFormat, text: str, before: int = 0) -> str:
    """Return what the user says with its images where the format has them.

    Args:
        turn_format: says where.
        text: with ``<image>`` for each image.
        before: images of the turns before.
    """
    count = text.count(IMAGE_PLACEHOLDER)
    rest = text.replace(IMAGE_PLACEHOLDER, "").strip() if count or turn_format.strip else text
    if turn_format.listed and count:
        lines = [turn_format.listed.format(before + number) for number in range(1, count + 1)]
        rest = "\n".join([rest, *lines] if rest else lines)
    if not count or turn_format.images == "conversation":
        return rest
    return _images(turn_format, count) + (f"{turn_format.gap}{rest}" if rest else "")


def cut(turn_format: TurnFormat, text: str) -> list[str]:
    """Cut a text that stands between images of a written conversation where `rounds` does: behind every lead."""
    first, *others = text.split(turn_format.lead)
    return [piece for piece in [first, *(p for other in others for p in (turn_format.lead, other))] if piece]


def misread(turn_format: TurnFormat, records: Iterable[Record]) -> list[BadSample]:
    """Return the records whose text would be read as a marker of the format, or whose system prompt has no place."""
    found = []
    for record in records:
        texts = [turn.text for turn in record.conversations]
        held = next((marker for marker in turn_format.markers for text in texts if marker in text), None)
        if held:
            detail = f"a text holds {held}, which the format {turn_format.name} writes around turns; leave it out"
        elif turn_format.system is None and record.conversations[0].role == "system":
            detail = f"there is a system prompt, for which the format {turn_format.name} has no place; leave it out"
        else:
            continue
        said = f"{record.id}: {detail}"
        found.append(BadSample(source=record.source, row=record.row, reason="marker in the text", detail=said))
    return found


def _images(turn_format: TurnFormat, count: int) -> str:
    before, behind = turn_format.image
    return f"{before}{IMAGE_PLACEHOLDER}{behind}" * count


def _pieces(text: str) -> list[str]:
    """Split a text at its images, which stay as pieces; empty pieces go."""
    first, *others = text.split(IMAGE_PLACEHOLDER)
    return [piece for piece in [first, *(p for other in others for p in (IMAGE_PLACEHOLDER, other))] if piece]
