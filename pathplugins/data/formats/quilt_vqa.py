"""Quilt-VQA: questions about frames of lectures with answers in sentences, and yes or no for the closed ones."""

from __future__ import annotations

from pathlib import Path

from pathplugins.data.formats.reading.assembly import Stream, json_stream, reader
from pathplugins.data.formats.reading.media import images_in
from pathplugins.data.formats.reading.rows import BadRowError, Row, refuse_placeholder, shown, text_of
from pathplugins.data.records import IMAGE_PLACEHOLDER, Record, Turn

YES_NO = "yes_no_answer"
_TYPES = {"closed": "closed", "open": "open", "other": "open"}  # as its own scorer counts them


@reader
def read_quilt_vqa(path: str | Path, *, media_dir: str | Path | None = None, ids: str | Path | None = None) -> Stream:
    """Read questions; the answer of a closed one is its ``yes_no_answer``, where it has one.

    Args:
        path: ``quiltvqa_test_w_ans.json`` or that of Quilt-VQA-RED, a list of ``{"image", "question", "answer",
            "answer_type"}``; ``answer_type``, ``open`` or ``closed``, is kept with the record.
        media_dir: Where the images are looked for first; then beside the file.
        ids: Index file of the samples to keep: one id a line, a JSON list or a table.
    """
    return json_stream(path, _draft, media_dir=media_dir, ids=ids)


def _draft(row: Row) -> Record:
    images = images_in(row.cells, "image")
    if len(images) != 1:
        raise BadRowError("no image", f"image is {shown(row.cells.get('image'))}; expected one path")
    kind = _TYPES.get(text_of(row.cells, "answer_type").lower())
    if kind is None:
        said = f"answer_type is {shown(row.cells.get('answer_type'))}; expected OPEN or CLOSED"
        raise BadRowError("unknown answer type", said)
    question, answer = text_of(row.cells, "question"), text_of(row.cells, "answer")
    short = text_of(row.cells, YES_NO) if kind == "closed" else ""
    if not question or not (short or answer):
        raise BadRowError("no question", "question or answer is empty; expected both")
    refuse_placeholder(question + answer + short)
    return Record(
        id=text_of(row.cells, "id") or text_of(row.cells, "question_id") or Path(images[0]).stem,
        conversations=(Turn("user", f"{IMAGE_PLACEHOLDER}\n{question}"), Turn("assistant", short or answer)),
        images=images,
        meta={"answer_type": kind},
        source=row.source,
        row=row.number,
    )
