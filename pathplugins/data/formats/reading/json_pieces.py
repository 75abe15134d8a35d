"""Cut JSON files into pieces that several processes can read.

A cut is a guess: it is made at the text that separates the first two samples, which may also occur inside a sample.
Reading verifies it: a piece that begins with a sample and parses to its end also ends with a sample, so if all pieces
parse, all cuts were right. If one does not, the file has to be read as a whole, which also names the fault, if any.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from pathplugins.data.formats.reading.rows import Row

_HEAD = 2**18  # the first sample must end within so many bytes
_WINDOW = 2**16
_MARK = b"\xef\xbb\xbf"
_OPENING = re.compile(r"[ \n\r\t]*\[[ \n\r\t]*")
_BETWEEN = re.compile(r'[ \n\r\t]*,[ \n\r\t]*(\{[ \n\r\t]*"[^"\\]*")')
_BLANKS = re.compile(r"[ \n\r\t]*")
_scan = json.JSONDecoder().scan_once


class WrongCutError(Exception):
    """A piece does not parse."""


class Piece(NamedTuple):
    """A byte range of a file: samples separated by commas, or whole lines."""

    start: int
    stop: int
    lines: bool


def cut(path: Path, size: int) -> list[Piece]:
    """Cut a file into pieces of about ``size`` bytes; return none if it is no list, or no lines, of many samples."""
    if not path.is_file() or path.stat().st_size < 2 * size:
        return []
    with path.open("rb") as stream:
        head = stream.read(_HEAD)
        start = len(_MARK) if head.startswith(_MARK) else 0
        if path.suffix == ".jsonl":
            return _cut_at(stream, b"\n", (start, path.stat().st_size), size, skip=(1, 1))
        text = head[start:].decode("latin-1")  # one character per byte; only ASCII matters here
        opening = _OPENING.match(text)
        try:
            end = _scan(text, opening.end())[1] if opening else -1
        except (ValueError, RecursionError, StopIteration):
            return []
        between = _BETWEEN.match(text, end) if end >= 0 else None
        stop = _closing(stream)
        if opening is None or between is None or text[end - 1] != "}" or stop is None:
            return []
        pattern = text[end - 1 : between.end()].encode("latin-1")
        begins = between.start(1) - end + 1
        return _cut_at(stream, pattern, (start + opening.end(), stop), size, skip=(1, begins))


def read_piece(path: Path, piece: Piece) -> Iterator[Row]:
    """Yield the samples of a piece, numbered 0.

    Raises:
        WrongCutError: the piece does not consist of samples.
    """
    source = str(path)
    with path.open("rb") as stream:
        stream.seek(piece.start)
        data = stream.read(piece.stop - piece.start)
    try:
        for value in _lines(data.decode()) if piece.lines else _items(data.decode()):
            if not isinstance(value, dict):
                raise WrongCutError
            yield Row(source, 0, value)
    except (ValueError, RecursionError) as error:  # not JSON, or not UTF-8
        raise WrongCutError from error


def _items(text: str) -> Iterator[Any]:
    at, length = _BLANKS.match(text, 0).end(), len(text)  # type: ignore[union-attr] - matches nothing as well
    while True:
        try:
            value, at = _scan(text, at)
        except StopIteration as stop:  # no value, as in an empty file
            raise WrongCutError from stop
        yield value
        if at < length and text[at] != ",":
            at = _BLANKS.match(text, at).end()  # type: ignore[union-attr]
        if at == length:
            return
        if text[at] != ",":
            raise WrongCutError
        at += 1
        if text[at : at + 1] != "{":
            at = _BLANKS.match(text, at).end()  # type: ignore[union-attr]


def _lines(text: str) -> Iterator[Any]:
    if text.count("\r") != text.count("\r\n"):  # also ends a line where lines are read one by one
        raise WrongCutError
    for line in text.split("\n"):
        if line.strip():
            yield json.loads(line)


def _closing(stream: BinaryIO) -> int | None:
    """Return the position of the bracket that ends the file; None without one."""
    size = stream.seek(0, 2)
    stream.seek(max(0, size - _WINDOW))
    tail = stream.read().rstrip(b" \n\r\t")
    return max(0, size - _WINDOW) + len(tail) - 1 if tail.endswith(b"]") else None


def _cut_at(
    stream: BinaryIO, pattern: bytes, span: tuple[int, int], size: int, *, skip: tuple[int, int]
) -> list[Piece]:
    """Cut where ``pattern`` occurs: a piece ends ``skip[0]`` bytes after its start, the next begins at ``skip[1]``."""
    start, stop = span
    lines = pattern == b"\n"
    pieces = []
    while stop - start > 2 * size:
        found = _find(stream, pattern, start + size, min(stop, start + 4 * size))
        if found is None:
            return []
        pieces.append(Piece(start, found + skip[0], lines))
        start = found + skip[1]
    return [*pieces, Piece(start, stop, lines)]


def _find(stream: BinaryIO, pattern: bytes, at: int, stop: int) -> int | None:
    while at < stop:
        stream.seek(at)
        found = stream.read(_WINDOW + len(pattern) - 1).find(pattern)
        if found >= 0:
            return at + found
        at += _WINDOW
    return None
