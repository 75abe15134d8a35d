"""Categories of questions: what a field of the data says of each, so that scores can be told apart by it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.nearest import nearest
from pathplugins.data.formats.reading.json import SUFFIXES, read_samples
from pathplugins.data.formats.reading.rows import BadRowError, Row, read_lines, text_of
from pathplugins.data.formats.reading.tables import read_table
from pathplugins.data.records import BadSample, Record
from pathplugins.data.scoring.answers import is_closed

NONE = "(none)"
"""Category of questions whose field is empty."""
ANSWER_TYPE = "answer_type"
"""``closed`` where the right answer is yes or no, else ``open``; for data that does not say it itself."""

_TABLES = (".csv", ".tsv", ".txt")


class UnknownFieldError(PathPluginsError):
    """A field that the data does not have."""


def categories(records: Sequence[Record], field: str) -> dict[str, str]:
    """Return the category of each question by a field of its data.

    The field is one that the format keeps (``meta`` of a record), else a column of the table or a key of the JSON
    sample that a record was made of; case, blanks and hyphens in its name make no difference. ``answer_type`` is also
    known where the data has no such field.

    Args:
        records: the questions.
        field: its name.

    Returns:
        id -> value, `NONE` where it is empty.

    Raises:
        UnknownFieldError: the data has no such field.
        PathPluginsError: it holds lists or objects.
    """
    wanted = _plain(field)
    kept = {_plain(name): name for record in records for name in record.meta}
    if name := kept.get(wanted):
        return {record.id: record.meta.get(name) or NONE for record in records}
    columns: dict[str, str] = {}
    found: dict[tuple[str, int], str] = {}
    for source in dict.fromkeys(record.source for record in records):
        for row in _rows(Path(source)):
            names = {_plain(name): name for name in row.cells}
            columns.update(names)
            if wanted in names:
                found[source, row.number] = _value(row, names[wanted], field)
    if wanted in columns:
        return {record.id: found.get((record.source, record.row)) or NONE for record in records}
    if wanted == ANSWER_TYPE:
        return {r.id: "closed" if is_closed(r.conversations[-1].text) else "open" for r in records}
    known = [*{**kept, **columns}.values(), ANSWER_TYPE]
    near = nearest(field, known)
    hint = f". Did you mean --by '{near}'?" if near else ""
    raise UnknownFieldError(f"--by {field}: the data has no such field, only {', '.join(map(repr, known))}{hint}")


def _rows(source: Path) -> Iterator[Row]:
    """Yield the samples of a table or JSON file as they are written; other sources have none to look at."""
    rows: Iterable[Row | BadSample] = ()
    if source.suffix.lower() in SUFFIXES:
        rows = read_samples(source)
    elif source.suffix.lower() in _TABLES and source.is_file():
        first = next(read_lines(source, wanted="a table"), "")
        names = {name.strip(' "\r\n') for mark in ",\t" for name in first.split(mark)}
        rows = read_table(source, wanted="a table", columns=names, check_header=lambda _: None)
    return (row for row in rows if isinstance(row, Row))


def _value(row: Row, name: str, field: str) -> str:
    try:
        return text_of(row.cells, name)
    except BadRowError as error:
        raise PathPluginsError(
            f"--by {field}: {row.source}:{row.number}: {error}; name a field with one value a question"
        ) from error


def _plain(name: Any) -> str:
    return re.sub(r"[\s-]+", "_", str(name).strip()).casefold()
