"""LLaMA-Factory's conversations: ``{"conversations" or "messages": [...], "images": [...]}``.

Not offered to the trainers: LLaMA-Factory reads these files itself, under the same name.
"""

from __future__ import annotations

from pathlib import Path

from pathplugins.data.formats.reading.assembly import Stream, json_stream, reader
from pathplugins.data.formats.reading.conversations import turns_of
from pathplugins.data.formats.reading.media import images_in
from pathplugins.data.formats.reading.rows import BadRowError, Row, checked_text, shown, text_of
from pathplugins.data.records import Record, Turn

UNHELD = ("videos", "audios", "tools", "chosen", "rejected")
"""Columns of LLaMA-Factory that a record has no place for."""


@reader
def read_sharegpt(path: str | Path, *, media_dir: str | Path | None = None, ids: str | Path | None = None) -> Stream:
    """Read conversations in the columns and tags of LLaMA-Factory's demos.

    Args:
        path: A JSON list, JSON lines, or a folder of them. Turns are ``from`` and ``value``, or ``role`` and
            ``content``, under ``conversations`` or ``messages``; ``system`` may stand beside them.
        media_dir: Where relative images are looked for first; then beside the file.
        ids: Index file of the samples to keep: one id a line, a JSON list or a table.
    """
    return json_stream(path, _draft, media_dir=media_dir, ids=ids)


def _draft(row: Row) -> Record:
    cells = row.cells
    if held := [name for name in UNHELD if cells.get(name)]:
        raise BadRowError(
            "unsupported content", f"{held[0]} is {shown(cells[held[0]])}; expected turns and images alone"
        )
    messages = cells.get("messages", cells.get("conversations"))
    openai = isinstance(messages, list) and bool(messages) and isinstance(messages[0], dict) and "role" in messages[0]
    turns = turns_of(messages, "role", "content") if openai else turns_of(messages)
    system = cells.get("system")
    if isinstance(system, str) and system and turns[0].role != "system":
        turns.insert(0, Turn("system", checked_text(system, "system")))
    images = images_in(cells, "images", "image")
    return Record(
        id=text_of(cells, "id") or Path(images[0] if images else row.source).stem,
        conversations=tuple(turns),
        images=images,
        meta={},
        source=row.source,
        row=row.number,
    )
