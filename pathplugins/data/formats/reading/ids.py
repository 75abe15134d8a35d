"""Index files: lists of the samples of a source to keep, e.g. the published list of cleaned images."""

from __future__ import annotations

import logging
from pathlib import Path

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.json_values import parse_json
from pathplugins.data.formats.reading.rows import Row, read_lines
from pathplugins.data.formats.reading.tables import read_table
from pathplugins.data.records import Record

COLUMNS = ("id", "image_id", "image", "image_path")
"""Columns of a table, of which the first present is read; also keys of JSON objects."""

_WANTED = "an index: one id a line, a JSON list, or a table with a column id or image"

logger = logging.getLogger(__name__)


def read_ids(path: Path) -> list[str]:
    """Read the ids of an index file, as text, each once, in order.

    Raises:
        PathPluginsError: not an index file, or one without ids.
    """
    if path.suffix in (".csv", ".tsv"):
        ids = _from_table(path)
    else:
        text = "".join(read_lines(path, wanted=_WANTED))
        ids = _from_json(text, path) if text.lstrip()[:1] == "[" else text.splitlines()
    ids = [*dict.fromkeys(entry for entry in map(str.strip, ids) if entry)]
    if not ids:
        raise PathPluginsError(f"{path} holds no ids; expected {_WANTED}")
    return ids


class Listed:
    """The samples that an index names, by id or by an image's path, file name or stem as written in the source."""

    def __init__(self, path: Path, *, source: Path) -> None:
        """Read the index ``path``; ``source`` is the file of the samples, for messages."""
        self._path, self._source = path, source
        self._ids = read_ids(path)
        self._unused = {*self._ids}
        self._wanted = frozenset(self._unused)
        self._seen: list[str] = []
        self._kept = 0

    def __contains__(self, record: Record) -> bool:
        """Return whether the index names a record."""
        hits = _names(record) & self._wanted
        if len(self._seen) < 3:
            self._seen.append(record.id)
        self._unused -= hits
        self._kept += bool(hits)
        return bool(hits)

    def finish(self) -> None:
        """Log how many ids of the index match no sample.

        Raises:
            PathPluginsError: the index named none of the samples.
        """
        if not self._kept:
            raise PathPluginsError(
                f"{self._path}: none of its {len(self._ids)} ids ({', '.join(self._ids[:3])}, ...) is in "
                f"{self._source} ({', '.join(self._seen)}, ...); list ids of samples, or file names of images"
            )
        if unknown := [entry for entry in self._ids if entry in self._unused]:
            logger.warning(
                "%s: %d of %d ids are not in %s (%s, ...)",
                *(self._path, len(unknown), len(self._ids), self._source, ", ".join(unknown[:3])),
            )


def _names(record: Record) -> set[str]:
    paths = [Path(image) for image in record.images]
    return {record.id, *record.images, *(path.name for path in paths), *(path.stem for path in paths)}


def _from_table(path: Path) -> list[str]:
    def check_header(names: list[str]) -> None:
        if not {*COLUMNS} & {*names}:
            raise PathPluginsError(
                f"{path} has the columns {', '.join(names)}; expected one of {', '.join(COLUMNS)}: rename one"
            )

    rows = [
        row
        for row in read_table(path, wanted=_WANTED, columns=COLUMNS, check_header=check_header)
        if isinstance(row, Row)
    ]
    column = next((name for name in COLUMNS if rows and name in rows[0].cells), "id")
    return [row.cells[column] for row in rows]


def _from_json(text: str, path: Path) -> list[str]:
    try:
        entries = parse_json(text)
    except ValueError as error:
        raise PathPluginsError(f"{path} is not JSON ({error}); expected {_WANTED}") from error
    ids = []
    for entry in entries:
        if isinstance(entry, dict):
            entry = next((entry[name] for name in COLUMNS if name in entry), None)
        if isinstance(entry, bool) or not isinstance(entry, str | int):
            raise PathPluginsError(f"{path} lists {entry!r}; expected ids as text, or objects with id or image")
        ids.append(str(entry))
    return ids
