"""WSI-Bench: WSI-LLaVA's training file, LLaVA conversations, its test file, one question a line, or a file per task."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.registry import unknown
from pathplugins.data.formats.reading.assembly import Stream, folders_for, json_stream, reader
from pathplugins.data.formats.reading.conversations import llava_draft
from pathplugins.data.formats.reading.json import read_samples
from pathplugins.data.formats.reading.media import images_in
from pathplugins.data.formats.reading.rows import (
    BadRowError,
    Draft,
    Row,
    checked_text,
    drafts,
    refuse_placeholder,
    shown,
    text_of,
)
from pathplugins.data.records import IMAGE_PLACEHOLDER, Record, Turn

ANSWER = "T-answer"  #: with a hyphen


SPLITS = ("train", "test")
KINDS = ("open", "choices", "yes_no")
"""What the answers of a task are: texts, letters of choices in the question, or yes and no."""

TASK_FILE = re.compile(r"(?:\d+_)?(?P<task>.+)_(?P<split>train|test)\.json")
"""Name of a file in the folder of tasks, a number before the first of them."""


@reader
def read_wsi_bench(
    path: str | Path,
    *,
    media_dir: str | Path | None = None,
    split: str | None = None,
    kind: str | None = None,
    ids: str | Path | None = None,
) -> Stream:
    """Read questions about slides; ``metadata``, the kind of question, is kept with the record.

    Args:
        path: ``WSI-Bench-train.json``, a list of ``{"id", "image", "conversations"}``, or ``WSI-Bench-test.jsonl``,
            lines of ``{"question_id", "image", "question", "T-answer"}``. Or a folder with ``{task}_train.json`` and
            ``{task}_test.json``, lists like the first; the task is then the ``metadata`` of its questions.
        media_dir: Where ``{project}/{slide}.pt`` are looked for first; then beside the file.
        split: ``train`` or ``test``: files of a folder that are kept; None keeps both.
        kind: ``open``, ``choices`` or ``yes_no``: tasks of a folder that are kept, by their names; None keeps all.
        ids: Index file of the samples to keep: one id a line, a JSON list or a table.
    """
    path = Path(path)
    for what, value, known in (("split", split, SPLITS), ("kind", kind, KINDS)):
        if value is not None and value not in known:
            raise PathPluginsError(unknown(what, value, known))
    if not path.is_dir():
        return json_stream(path, _draft, media_dir=media_dir, ids=ids)

    def found() -> Iterator[Draft]:
        for file in _task_files(path, split, kind):
            yield from drafts(read_samples(file), _draft_of_task)

    return Stream(path=path, drafts=found, folders=folders_for(path, media_dir), ids=ids)


def kind_of(task: str) -> str:
    """Return what the answers of a task are, by its name."""
    return "choices" if task.endswith("_choice") else "yes_no" if "_TF_" in task else "open"


def _task_files(folder: Path, split: str | None, kind: str | None) -> list[Path]:
    named = [(file, match) for file in sorted(folder.iterdir()) if (match := TASK_FILE.fullmatch(file.name))]
    if not named:
        raise PathPluginsError(
            f"{folder}: no task of WSI-Bench in this folder; expected {{task}}_test.json, or name its one file"
        )
    files = [
        file for file, match in named if split in (None, match["split"]) and kind in (None, kind_of(match["task"]))
    ]
    if not files:
        names = ", ".join(file.name for file, _ in named[:10])
        raise PathPluginsError(f"{folder}: no file of split {split} and kind {kind}; found {names}; ask for another")
    return files


def _draft_of_task(row: Row) -> Record:
    record = _draft(row)
    match = TASK_FILE.fullmatch(Path(row.source).name)
    return record if record.meta or match is None else replace(record, meta={"metadata": match["task"]})


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
