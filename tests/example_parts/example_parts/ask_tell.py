"""A record format: JSON lines of a bag, a question and an answer."""

from __future__ import annotations

from pathlib import Path

from pathplugins.data.formats.reading.assembly import Stream, json_stream, reader
from pathplugins.data.formats.reading.rows import Row, text_of
from pathplugins.data.records import Record, Turn


@reader
def read_ask_tell(path: str | Path, *, media_dir: str | Path | None = None) -> Stream:
    """Read lines of ``{"bag", "ask", "tell"}``."""
    return json_stream(path, _draft, media_dir=media_dir)


def _draft(row: Row) -> Record:
    ask, tell = (text_of(row.cells, name) for name in ("ask", "tell"))
    return Record(
        id=f"{row.number}",
        conversations=(Turn("user", f"<image>\n{ask}"), Turn("assistant", tell)),
        images=(text_of(row.cells, "bag"),),
        meta={},
        source=row.source,
        row=row.number,
    )
