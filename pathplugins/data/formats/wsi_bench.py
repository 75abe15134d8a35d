"""WSI-Bench: WSI-LLaVA's training file, LLaVA conversations, and its test file, one question a line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pathplugins.data.formats.reading.assembly import Stream, json_stream, reader
from pathplugins.data.formats.reading.conversations import llava_draft
from pathplugins.data.formats.reading.media import images_in
from pathplugins.data.formats.reading.rows import BadRowError, Row, checked_text, refuse_placeholder, shown, text_of
from pathplugins.data.records import IMAGE_PLACEHOLDER, Record, Turn

ANSWER = "T-answer"  #: with a hyphen


@reader
def read_wsi_bench(path: str | Path, *, media_dir: str | Path | None = None, ids: str | Path | None = None) -> Stream:
    """Read questions about slides; ``metadata``, the kind of question, is kept with the record.

    Args:
        path: ``WSI-Bench-train.json``, a list of ``{"id", "image", "conversations"}``, or ``WSI-Bench-test.jsonl``,
            lines of ``{"question_id", "image", "question", "T-answer"}``.
        media_dir: Where ``{project}/{slide}.pt`` are looked for first; then beside the file.
        ids: Index file of the samples to keep: one id a line, a JSON list or a table.
    """
    return json_stream(path, _draft, media_dir=media_dir, ids=ids)


def _draft(row: Row) -> Record:
    kind = text_of(row.cells, "metadata")
    meta = {"metadata": kind} if kind else {}
    if "question" not in row.cells:
        return replace(llava_draft(row), meta=meta)
    images = images_in(row.cells, "image", "images")
    if len(images) != 1:
        raise BadRowError("no image", f"image is {shown(row.cells.get('image'))}; expected one path")
    question, answer = (_text(row, name) for name in ("question", ANSWER))
    refuse_placeholder(question + answer)
    return Record(
        id=text_of(row.cells, "question_id") or Path(images[0]).stem,
        conversations=(Turn("user", f"{IMAGE_PLACEHOLDER}\n{question}"), Turn("assistant", answer)),
        images=images,
        meta=meta,
        source=row.source,
        row=row.number,
    )


def _text(row: Row, name: str) -> str:
    value = row.cells.get(name)
    if not isinstance(value, str) or not value.strip():
        raise BadRowError(f"no {name}", f"{name} is {shown(value)}; expected text")
    return checked_text(value, name)
