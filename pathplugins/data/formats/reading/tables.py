"""Read the rows of comma- or tab-separated files. Every cell is text: "NA", "None" and "1" are not converted."""

from __future__ import annotations

import csv
import itertools
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.formats.reading.rows import Row, read_lines
from pathplugins.data.records import BadSample


def read_table(
    path: Path, *, wanted: str, columns: Collection[str], check_header: Callable[[list[str]], object]
) -> Iterator[Row | BadSample]:
    """Yield rows with stripped cells; blank lines are left out, malformed rows are bad samples.

    Args:
        path: The table, UTF-8.
        wanted: Its expected content, for messages, e.g. ``a slide table (.csv or .tsv)``.
        columns: Column names of the format; the separator is the one that finds most of them in the header.
        check_header: Called with the names in the header; raises if they cannot be used.

    Raises:
        PathPluginsError: no such file, not a table, no rows, or a column twice.
    """
    lines = read_lines(path, wanted=wanted)
    first = next(lines, "")
    if not first.strip():
        raise PathPluginsError(f"{path} is empty; expected a header with the columns {', '.join(columns)}")
    delimiter = max(",\t", key=lambda mark: len({*columns} & {cell.strip(' "\r\n') for cell in first.split(mark)}))
    reader = csv.reader(itertools.chain([first], lines), delimiter=delimiter, strict=True)
    header: list[str] | None = None
    empty = True
    while True:
        line = reader.line_num + 1
        try:
            cells = [cell.strip() for cell in next(reader)]
        except StopIteration:
            break
        except csv.Error as error:
            detail = f"not readable as CSV: {error}; is a quotation mark left open or not doubled?"
            if header is None:
                raise PathPluginsError(f"{path}:{line} is {detail}") from error
            empty = False
            yield BadSample(source=str(path), row=line, reason="malformed row", detail=detail)
            continue
        if header is None:
            header = unique_names(cells, path)
            check_header(header)
        elif any(cells):
            empty = False
            if len(cells) == len(header):
                yield Row(str(path), line, dict(zip(header, cells, strict=True)))
                continue
            detail = f"{len(cells)} fields, the header has {len(header)}; put text with separators in quotation marks"
            yield BadSample(source=str(path), row=line, reason="ragged row", detail=detail)
    if empty:
        raise PathPluginsError(f"{path} has a header and no rows; expected one row per sample")


def require_columns(path: Path, wanted: Collection[str]) -> Callable[[list[str]], None]:
    """Return a ``check_header`` that requires these columns and allows others."""

    def check(names: list[str]) -> None:
        missing = [name for name in wanted if name not in names]
        if missing:
            raise PathPluginsError(
                f"{path} lacks the columns {', '.join(missing)}; it has {', '.join(names)}; expected "
                f"{', '.join(wanted)}, separated by commas or tabs"
            )

    return check


def unique_names(names: list[str], path: Path) -> list[str]:
    """Return the names of columns unchanged; raise ``PathPluginsError`` if one stands there twice."""
    repeated = sorted(name for name, count in Counter(names).items() if name and count > 1)
    if repeated:
        raise PathPluginsError(f"{path} has more than one column {', '.join(repeated)}; remove or rename the others")
    return names
