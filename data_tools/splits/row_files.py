"""Files of rows, one sample each: tables and JSON, with every row as text that can be written again unchanged."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.json_values import parse_json
from pathplugins.core.nearest import near_path
from pathplugins.data.formats.reading.json_text import JsonText
from pathplugins.data.formats.reading.rows import read_lines, shown
from pathplugins.data.formats.reading.tables import unique_names
from pathplugins.data.records import BadSample

TABLES, JSONS = (".csv", ".tsv"), (".json", ".jsonl")
SUFFIXES = (*TABLES, *JSONS)
_WANTED = "a table (.csv, .tsv) or samples as JSON (.json, .jsonl)"


class RawRow(NamedTuple):
    """One sample."""

    number: int
    """The line it starts on, or its position in a JSON list or object, from 1."""
    cells: dict[str, Any]
    text: str
    """The row as written; of a JSON list or object, the sample written again as JSON."""


@dataclass(frozen=True, kw_only=True)
class RowFile:
    """A file of rows, and what stands around them."""

    path: Path
    rows: Callable[[], Iterator[RawRow | BadSample]]
    """Reads the rows, each time from the start."""
    head: str = ""
    between: str = ""
    tail: str = ""


def open_rows(path: Path) -> RowFile:
    """Return the rows of a file by its suffix; a file is read row by row, whatever its size.

    Raises:
        PathPluginsError: no such file, another suffix, or a header that cannot be used.
    """
    if not path.is_file():
        raise PathPluginsError(f"{path}: no such file; give {_WANTED}{near_path(path)}")
    if path.suffix in TABLES:
        return RowFile(path=path, rows=lambda: _table_rows(path), head=_header(path).text)
    if path.suffix == ".jsonl":
        return RowFile(path=path, rows=lambda: _json_lines(path))
    if path.suffix != ".json":
        raise PathPluginsError(f"{path}: rows are read of {', '.join(SUFFIXES)}; give {_WANTED}")
    text = JsonText(path, wanted=_WANTED)
    mark = text.peek()
    if mark == "[":
        return RowFile(path=path, rows=lambda: _json_items(path), head="[\n", between=",\n", tail="\n]\n")
    if mark == "{" and text.holds_objects():
        return RowFile(path=path, rows=lambda: _json_members(path), head="{\n", between=",\n", tail="\n}\n")
    if mark == "{" and text.short_value()[0] and text.peek() == "{":
        return RowFile(path=path, rows=lambda: _json_lines(path))
    raise PathPluginsError(f"{path} holds no list of samples, object id -> sample, or sample a line; give {_WANTED}")


class _Lines:
    """Lines of a file as `csv` takes them, remembered until a row is complete."""

    def __init__(self, path: Path) -> None:
        self._lines, self._taken = read_lines(path, wanted=_WANTED), list[str]()

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self._taken.append(line)
        return line

    def taken(self) -> str:
        """Return the lines since the last call."""
        text = "".join(self._taken)
        self._taken.clear()
        return text


class _Header(NamedTuple):
    names: list[str]
    text: str
    delimiter: str


def _header(path: Path) -> _Header:
    first = next(read_lines(path, wanted=_WANTED), "")
    tabbed = path.suffix == ".tsv" and "\t" in first
    delimiter = "\t" if tabbed else max(",\t", key=first.count)
    lines = _Lines(path)
    try:
        names = [name.strip() for name in next(csv.reader(lines, delimiter=delimiter, strict=True))]
    except (StopIteration, csv.Error) as error:
        raise PathPluginsError(f"{path} has no header that reads as CSV ({error}); give {_WANTED}") from error
    if not any(names):
        raise PathPluginsError(f"{path} begins with an empty line; expected a header with the names of its columns")
    return _Header(unique_names(names, path), lines.taken(), delimiter)


def _table_rows(path: Path) -> Iterator[RawRow | BadSample]:
    header = _header(path)
    end = "\r\n" if header.text.endswith("\r\n") else "\n"
    lines = _Lines(path)
    reader = csv.reader(lines, delimiter=header.delimiter, strict=True)
    next(reader)
    lines.taken()
    while True:
        number = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            lines.taken()
            yield _bad(path, number, f"not readable as CSV: {error}; is a quotation mark left open or not doubled?")
            continue
        text = lines.taken()
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(header.names):
            yield _bad(path, number, f"{len(cells)} fields, the header has {len(header.names)}")
            continue
        text = text if text.endswith(("\n", "\r")) else text + end
        yield RawRow(number, dict(zip(header.names, (cell.strip() for cell in cells), strict=True)), text)


def _json_lines(path: Path) -> Iterator[RawRow | BadSample]:
    for number, line in enumerate(read_lines(path, wanted=_WANTED), start=1):
        if not line.strip():
            continue
        try:
            value = parse_json(line)
        except ValueError as error:
            yield _bad(path, number, f"not JSON: {error}")
            continue
        yield _sample(path, number, value, line if line.endswith("\n") else line + "\n")


def _json_items(path: Path) -> Iterator[RawRow | BadSample]:
    text = JsonText(path, wanted=_WANTED)
    text.peek()
    for number, value in enumerate(text.items(), start=1):
        yield _sample(path, number, value, _dumped(value))
    text.end()


def _json_members(path: Path) -> Iterator[RawRow | BadSample]:
    text = JsonText(path, wanted=_WANTED)
    text.peek()
    for number, (key, value) in enumerate(text.members(), start=1):
        yield _sample(path, number, value, f"{_dumped(key)}: {_dumped(value)}")
    text.end()


def _sample(path: Path, number: int, value: Any, text: str) -> RawRow | BadSample:
    if isinstance(value, dict):
        return RawRow(number, value, text)
    return _bad(path, number, f"{shown(value)} is no JSON object; expected one object per sample")


def _dumped(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # half a surrogate pair, which only an escape can hold
        return json.dumps(value)
    return text


def _bad(path: Path, number: int, detail: str) -> BadSample:
    return BadSample(source=str(path), row=number, reason="malformed row", detail=detail)
