"""Types and helpers that the output formats share."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pathplugins.data.records import IMAGE_PLACEHOLDER, Record

try:
    from orjson import dumps as _compact
except ImportError:  # the same bytes, at a quarter of the speed
    _encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

    def _compact(value: Any) -> bytes:
        return _encode(value).encode()


_spaced = json.JSONEncoder(ensure_ascii=False).encode

SPEAKERS = {"system": "system", "user": "human", "assistant": "gpt"}


class NotHeldError(Exception):
    """The format cannot hold a record; the message names the reason and a remedy."""


@dataclass(frozen=True, kw_only=True)
class Sink:
    """How rows become the bytes of a file, in blocks of at least one row."""

    encode: Callable[[Sequence[Any]], bytes]
    """The bytes of a block."""
    start: bytes = b""
    between: bytes = b""
    """Stands between two blocks."""
    end: bytes = b""


@dataclass(frozen=True, kw_only=True)
class Target:
    """An output format."""

    rows: Callable[[Path], Callable[[Record], Any]]
    """Takes the output path; returns the function that makes a row of a record or raises ``NotHeldError``."""
    sink: Callable[[Path], Sink]
    """Takes the output path; returns how rows become its bytes."""
    suffix: str = ".json"
    """Suffix of the output file when only a folder is given."""
    numbered: bool = False
    """A row records its row number in the source."""
    beside: Callable[[Path, bool], Callable[[], None]] | None = None
    """``beside(out, overwrite)`` checks a companion file of the output; returns the function that writes it."""


def _lines(rows: Sequence[Any]) -> bytes:
    return "".join([f"{_spaced(row)}\n" for row in rows]).encode()


def _compact_lines(rows: Sequence[Any]) -> bytes:
    return b"".join([_compact(row) + b"\n" for row in rows])


def _items(rows: Sequence[Any]) -> bytes:
    return b",\n".join(map(_compact, rows))


JSON_LINES = Sink(encode=_compact_lines)
"""One row a line."""
SPACED_LINES = Sink(encode=_lines)
"""One row a line, with a blank after each comma and colon."""
JSON_LIST = Sink(encode=_items, start=b"[\n", between=b",\n", end=b"\n]\n")
"""One list, a row a line."""


def by_suffix(out: Path) -> Sink:
    """Return JSON lines for a ``.jsonl``, otherwise a JSON list, as readers expect."""
    return JSON_LINES if out.suffix == ".jsonl" else JSON_LIST


def messages(record: Record) -> list[dict[str, str]]:
    """Return the turns of a record as LLaVA writes them."""
    return [{"from": SPEAKERS[role], "value": text} for role, text in record.conversations]


def only_image(record: Record, suffix: str, what: str) -> str:
    """Return the only image of a record.

    Raises:
        NotHeldError: the record has no or several images, or one with another suffix.
    """
    if len(record.images) != 1:
        raise NotHeldError(f"{len(record.images)} images; {what} holds one for each sample")
    if not record.images[0].endswith(suffix):
        raise NotHeldError(f"the image {record.images[0]!r} is no {suffix}; pass --image-suffix {suffix} to rename it")
    return record.images[0]


def no_system(record: Record, what: str) -> None:
    """Raise ``NotHeldError`` for a record with a system turn."""
    if record.conversations[0].role == "system":
        raise NotHeldError(f"a system turn; {what} holds questions and answers alone")


def only_question(record: Record, what: str) -> tuple[str, str]:
    """Return question and answer of a record that asks one question about one image.

    Raises:
        NotHeldError: the record has more turns, or ``<image>`` does not stand on the line before the question.
    """
    if len(record.conversations) != 2:
        raise NotHeldError(f"{len(record.conversations)} turns; {what} holds one question and its answer")
    (_, asked), (_, answer) = record.conversations
    mark = f"{IMAGE_PLACEHOLDER}\n"
    if not asked.startswith(mark) or IMAGE_PLACEHOLDER in asked[len(mark) :]:
        raise NotHeldError(f"{IMAGE_PLACEHOLDER} does not stand on a line before the question, where {what} has it")
    return asked[len(mark) :], answer
