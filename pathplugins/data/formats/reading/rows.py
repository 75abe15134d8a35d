"""Rows of source files, and how they become drafts of records or bad samples."""

from __future__ import annotations

import codecs
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.file_heads import GIT_LFS_POINTER
from pathplugins.core.nearest import near_path
from pathplugins.data.choices import lettered
from pathplugins.data.formats.reading.unseen import REASON, WANTED, unseen_key
from pathplugins.data.records import IMAGE_PLACEHOLDER, BadSample, Record


class Row(NamedTuple):
    """One sample as written in a file."""

    source: str
    """The file."""
    number: int
    """The line it starts on (tables and JSON lines; a table's header is 1), or its position, from 1."""
    cells: dict[str, Any]


class BadRowError(Exception):
    """A row that cannot become a record; it is reported as a ``BadSample``."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class Unwanted(NamedTuple):
    """A row that a filter leaves out; its id still counts when ids are made unique."""

    id: str


Draft = Record | BadSample | Unwanted
"""A record whose id and images are still as written in the file, a bad sample, or a row left out."""


def drafts(rows: Iterable[Row | BadSample], make: Callable[[Row], Record | None]) -> Iterator[Draft]:
    """Make a draft of every row; ``make`` returns None to drop a row and raises ``BadRowError`` for a bad one.

    A row with a video or a sound is bad in every format.
    """
    for row in rows:
        if row.__class__ is BadSample:
            yield row
            continue
        if (key := unseen_key(row.cells)) is not None:
            detail = f"{key} is {shown(row.cells[key])}, which {WANTED}"
            yield BadSample(source=row.source, row=row.number, reason=REASON, detail=detail)
            continue
        try:
            record = make(row)
        except BadRowError as error:
            yield BadSample(source=row.source, row=row.number, reason=error.reason, detail=str(error))
            continue
        if record is not None:
            yield record


def read_lines(path: Path, *, wanted: str) -> Iterator[str]:
    """Yield the lines of a UTF-8 file with their line ends, without a byte order mark.

    Args:
        path: The file.
        wanted: Its expected content, for messages, e.g. ``a slide table``.

    Raises:
        PathPluginsError: no such file, a Git-LFS pointer, or not UTF-8 (names the line).
    """
    return _read_text(path, wanted, iter)


def read_chunks(path: Path, *, wanted: str, size: int) -> Iterator[str]:
    """Yield the text of a file as `read_lines` does, but ``size`` bytes at a time."""

    def decoded(stream: TextIO) -> Iterator[str]:
        # does not search for line ends, which takes as long as decoding
        decoder = codecs.getincrementaldecoder("utf-8-sig")()
        while data := stream.buffer.read(size):
            yield decoder.decode(data)
        yield decoder.decode(b"", final=True)

    return _read_text(path, wanted, decoded)


def _read_text(path: Path, wanted: str, blocks: Callable[[TextIO], Iterator[str]]) -> Iterator[str]:
    if not path.is_file():
        raise PathPluginsError(f"{path}: no such file; expected {wanted} there{near_path(path)}")
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            for number, block in enumerate(blocks(stream)):
                if not number and block.startswith(GIT_LFS_POINTER.decode()):
                    raise PathPluginsError(
                        f"{path} is a Git-LFS pointer, not {wanted} itself; fetch it with `git lfs pull`"
                    )
                yield block
    except UnicodeDecodeError as error:
        line_number = _first_undecodable_line(path)
        raise PathPluginsError(f"{path}:{line_number} is not UTF-8 ({error.reason}); save the file as UTF-8") from error


def text_of(cells: dict[str, Any], name: str) -> str:
    """Return a cell as stripped text, ``""`` if absent or null; numbers become text.

    Raises:
        BadRowError: any other value.
    """
    value = cells.get(name)
    if value.__class__ is str and value.isascii():
        return value.strip()
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise BadRowError("not text", f"{name} is {shown(value)}, expected text")
    return checked_text(str(value), name).strip()


def checked_text(text: str, name: str) -> str:
    r"""Return a text unchanged.

    Raises:
        BadRowError: it holds half of a surrogate pair (JSON ``"\ud83d"``), which can be neither tokenized nor written.
    """
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise BadRowError("unreadable text", f"{name} has half a character at position {error.start}") from error
    return text


def refuse_placeholder(text: str, name: str = "the text") -> None:
    """Raise ``BadRowError`` if a text contains ``<image>``, for formats that insert it themselves."""
    if IMAGE_PLACEHOLDER in text:
        raise BadRowError(
            "misplaced placeholder", f"{name} contains {IMAGE_PLACEHOLDER}, which this format adds itself; remove it"
        )


def choice_texts(question: str, choices: list[str], answer: int) -> tuple[str, str]:
    """Return user and assistant text of a multiple-choice question; ``answer`` is the index of the right choice."""
    lines = lettered(choices)
    return "\n".join((f"{question}\n", "Choose one of these:", *lines)), lines[answer]


def same(text: str, wanted: str) -> bool:
    """Return whether a cell holds the wanted value, ignoring case."""
    return text.strip().casefold() == wanted.strip().casefold()


def none_kept(path: Path, column: str, wanted: str, found: Counter[str], advice: str) -> PathPluginsError:
    """Return the error for a filter that keeps no row: the wanted value and the values found."""
    values = Counter({value or "(empty)": count for value, count in found.items()})
    counts = ", ".join(f"{value} ({count})" for value, count in values.most_common(10)) or "no rows"
    return PathPluginsError(f"{path}: no row has {column} {wanted!r}; found {counts}; {advice}")


def shown(value: object) -> str:
    """Return a value for a message, shortened to a line."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _first_undecodable_line(path: Path) -> int:
    with path.open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            try:
                line.decode()
            except UnicodeDecodeError:
                return number
    return number
