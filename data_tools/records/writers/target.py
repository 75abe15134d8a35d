"""Targets: what the output formats have in common."""

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
    """A record that the format has no place for; says which part of it and what would help."""


@dataclass(frozen=True, kw_only=True)
class Sink:
    """How rows become the bytes of a file, in blocks of at least one row."""

    encode: Callable[[Sequence[Any]], bytes]
    """The bytes of a block."""
    start: bytes = b""
    between: bytes = b""
    """What parts two blocks."""
    end: bytes = b""


@dataclass(frozen=True, kw_only=True)
class Target:
    """An output format."""

    rows: Callable[[Path], Callable[[Record], Any]]
    """For an output file: the function that makes a row of a record, or raises ``NotHeldError``."""
    sink: Callable[[Path], Sink]
    """For an output file: what makes its bytes."""
    suffix: str = ".json"
    """Of the file, where only a folder is named."""
    numbered: bool = False
    """A row says which row of its source it was."""
    beside: Callable[[Path, bool], Callable[[], None]] | None = None
    """``beside(out, overwrite)`` looks whether what belongs beside the file can be written; what it gives writes it."""


def _lines(rows: Sequence[Any]) -> bytes:
    return "".join([f"{_spaced(row)}\n" for row in rows]).encode()


def _compact_lines(rows: Sequence[Any]) -> bytes:
    return b"".join([_compact(row) + b"\n" for row in rows])


def _items(rows: Sequence[Any]) -> bytes:
    return b",\n".join(map(_compact, rows))


JSON_LINES = Sink(encode=_compact_lines)
"""One row a line."""
SPACED_LINES = Sink(encode=_lines)
"""The same with a blank after each comma and colon."""
JSON_LIST = Sink(encode=_items, start=b"[\n", between=b",\n", end=b"\n]\n")
"""One list, a row a line."""


def by_suffix(out: Path) -> Sink:
    """Lines in a ``.jsonl``, else a list: what readers take such files for."""
    return JSON_LINES if out.suffix == ".jsonl" else JSON_LIST


def messages(record: Record) -> list[dict[str, str]]:
    """The turns as LLaVA writes them."""
    return [{"from": SPEAKERS[role], "value": text} for role, text in record.conversations]


def only_image(record: Record, suffix: str, what: str) -> str:
    """The image of a record that must be about one file with this suffix."""
    if len(record.images) != 1:
        raise NotHeldError(f"{len(record.images)} images; {what} holds one for each sample")
    if not record.images[0].endswith(suffix):
        raise NotHeldError(f"the image {record.images[0]!r} is no {suffix}; pass --image-suffix {suffix} to rename it")
    return record.images[0]


def no_system(record: Record, what: str) -> None:
    """Refuse a system turn."""
    if record.conversations[0].role == "system":
        raise NotHeldError(f"a system turn; {what} holds questions and answers alone")


def only_question(record: Record, what: str) -> tuple[str, str]:
    """Question and answer of a record that must be one question about one image, which stands before it."""
    if len(record.conversations) != 2:
        raise NotHeldError(f"{len(record.conversations)} turns; {what} holds one question and its answer")
    (_, asked), (_, answer) = record.conversations
    mark = f"{IMAGE_PLACEHOLDER}\n"
    if not asked.startswith(mark) or IMAGE_PLACEHOLDER in asked[len(mark) :]:
        raise NotHeldError(f"{IMAGE_PLACEHOLDER} does not stand on a line before the question, where {what} has it")
    return asked[len(mark) :], answer
