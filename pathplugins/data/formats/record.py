"""Records with all their fields as JSON lines, for intermediate steps and for inspection."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pathplugins.data.formats.reading.assembly import Stream, json_stream, reader
from pathplugins.data.formats.reading.conversations import turns_of
from pathplugins.data.formats.reading.media import images_in
from pathplugins.data.formats.reading.rows import BadRowError, Row, checked_text, shown, text_of
from pathplugins.data.records import Record


@reader
def read_record(path: str | Path, *, media_dir: str | Path | None = None, ids: str | Path | None = None) -> Stream:
    """Read what ``pathdata convert --to record`` writes; ids stay as they are, a repeated one is a bad row.

    Args:
        path: Lines of ``{"id", "conversations": [{"role", "text"}], "images", "meta", "source", "row"}``. The
            last two name the original source; reports name this file and its lines.
        media_dir: Where relative images are looked for first; then beside the file.
        ids: Index file of the samples to keep: one id a line, a JSON list or a table.
    """
    return json_stream(path, _draft, media_dir=media_dir, ids=ids, ids_are_final=True)


def _draft(row: Row) -> Record:
    cells = row.cells
    name = text_of(cells, "id")
    if not name:
        raise BadRowError("no id", "id is empty; expected the id of a record")
    return Record(
        id=name,
        conversations=tuple(turns_of(cells.get("conversations"), "role", "text")),
        images=images_in(cells, "images"),
        meta=_meta(cells.get("meta") or {}),
        source=row.source,
        row=row.number,
    )


def _meta(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise BadRowError("unreadable meta", f"meta is {shown(value)}; expected an object of texts")
    return {checked_text(key, "meta"): checked_text(text, "meta") for key, text in value.items()}
