"""LLaVA conversations: ``{"id", "image", "conversations": [{"from": "human", "value": ...}, ...]}``."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pathplugins.data.formats._assembly import assemble, folders_for
from pathplugins.data.formats._json import read_samples
from pathplugins.data.formats._rows import BadRowError, Row, checked_text, drafts, shown, text_of
from pathplugins.data.records import BadSample, Record, Turn

Role = Literal["system", "user", "assistant"]

ROLES: dict[str, Role] = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "system": "system",
}


def read_llava(
    path: str | Path, *, media_dir: str | Path | None = None, ids: str | Path | None = None
) -> tuple[list[Record], list[BadSample]]:
    """Read conversations about one image, several or none; an image may be a feature bag (``.h5``).

    ``<image>`` is needed once per image and stays where it stands in the text; XTuner and LLaVA move it to the front.
    Answers before the first question are left out, as both do.

    Args:
        path: A JSON list, a JSON object id -> sample, JSON lines, or a folder of ``*.json`` and ``*.jsonl``.
        media_dir: Where relative images are looked for first; then beside the file.
        ids: Index file of the samples to keep: one id a line, a JSON list or a table.
    """
    path = Path(path)
    found = drafts(read_samples(path), llava_draft)
    return assemble(found, path=path, folders=folders_for(path, media_dir), ids=ids)


def llava_draft(row: Row) -> Record:
    """The draft (see ``_assembly``) of one LLaVA sample.

    Without an ``id`` it is called after its first image, without either after its file.
    """
    images = _images(row.cells.get("image"))
    fallback = Path(images[0] if images else row.source).stem
    return Record(
        id=text_of(row.cells, "id") or fallback,
        conversations=_turns(row.cells.get("conversations")),
        images=images,
        meta={},
        source=row.source,
        row=row.number,
    )


def _images(value: Any) -> tuple[str, ...]:
    if value is None or value == "":
        return ()
    images = value if isinstance(value, list) else [value]
    if not all(isinstance(image, str) and image.strip() for image in images):
        raise BadRowError("no image", f"image is {shown(value)}; expected a path, a list of paths, or none at all")
    return tuple(checked_text(image, "image").strip() for image in images)


def _turns(value: Any) -> tuple[Turn, ...]:
    if not isinstance(value, list) or not value:
        raise BadRowError("no conversation", f"conversations is {shown(value)}; expected a list of from and value")
    turns = [_turn(message) for message in value]
    start = 1 if turns[0].role == "system" else 0
    while turns[start:] and turns[start].role == "assistant":
        del turns[start]
    return tuple(turns)


def _turn(message: Any) -> Turn:
    speaker, text = (message.get("from"), message.get("value")) if isinstance(message, dict) else (None, None)
    if not isinstance(speaker, str) or speaker.casefold() not in ROLES or not isinstance(text, str):
        expected = f'expected {{"from": {" | ".join(ROLES)}, "value": text}}'
        raise BadRowError("malformed turn", f"a turn is {shown(message)}; {expected}")
    return Turn(ROLES[speaker.casefold()], checked_text(text, "value"))
