"""Quilt-VQA: questions about frames of lectures with answers in sentences, and yes or no for the closed ones."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.formats.reading.assembly import Stream, folders_for, json_stream, reader
from pathplugins.data.formats.reading.json import read_samples
from pathplugins.data.formats.reading.media import images_in
from pathplugins.data.formats.reading.rows import BadRowError, Row, drafts, refuse_placeholder, shown, text_of
from pathplugins.data.records import IMAGE_PLACEHOLDER, BadSample, Record, Turn

IDS = ("id", "question_id")
NO_ID = "without an id"
YES_NO = "yes_no_answer"
_TYPES = {"closed": "closed", "open": "open", "other": "open"}  # as its own scorer counts them


@reader
def read_quilt_vqa(
    path: str | Path,
    *,
    media_dir: str | Path | None = None,
    ids: str | Path | None = None,
    questions: str | Path | None = None,
) -> Stream:
    """Read questions; the answer of a closed one is its ``yes_no_answer``, where it has one.

    Args:
        path: ``quiltvqa_test_w_ans.json`` or that of Quilt-VQA-RED, a list of ``{"image", "question", "answer",
            "answer_type"}``; ``answer_type``, ``open`` or ``closed``, is kept with the record.
        media_dir: Where the images are looked for first; then beside the file.
        ids: Index file of the samples to keep: one id a line, a JSON list or a table.
        questions: The questions as they are asked, lines of ``{"question_id", "image", "text"}``
            (``quiltvqa_test_wo_ans.jsonl``, here or beside ``path``); their ids must be those of ``path``, in the same
            order.
    """
    if questions is None:
        return json_stream(path, _draft, media_dir=media_dir, ids=ids)
    path, asked = Path(path), Path(questions)
    if not asked.exists() and (path.parent / asked).is_file():
        asked = path.parent / asked
    return Stream(
        path=path,
        drafts=lambda: drafts(_paired(path, asked), _draft),
        folders=folders_for(path, media_dir),
        ids=ids,
    )


def _paired(path: Path, questions: Path) -> Iterator[Row | BadSample]:
    """Yield the rows of ``path``, each with the text of the question at the same place.

    Raises:
        PathPluginsError: the files have other ids, or the same in another order.
    """
    for place, (told, asked) in enumerate(zip_longest(read_samples(path), read_samples(questions)), start=1):
        if isinstance(told, BadSample) or isinstance(asked, BadSample):
            yield told if isinstance(told, BadSample) else asked
            continue
        here, there = _named(told), _named(asked)
        if told is None or asked is None or here != there or here == NO_ID:
            raise PathPluginsError(
                f"{path} and {questions} do not belong together: sample {place} is {here} in the one and {there} in "
                "the other; give two files with the same ids in the same order"
            )
        images = [row.cells.get("image") for row in (told, asked)]
        both = {"image": images} if images[1] not in (None, images[0]) else {}  # two images are a bad row
        yield told._replace(cells={**told.cells, **both, "question": asked.cells.get("text")})


def _named(row: Row | None) -> str:
    if row is None:
        return "missing"
    return next((repr(str(row.cells[name])) for name in IDS if name in row.cells), NO_ID)


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
        said = "question or answer is empty; expected both"
        alone = "; these are questions alone: give the file with answers, and this one by the option questions"
        raise BadRowError("no question", said + alone * ("text" in row.cells and not answer))
    refuse_placeholder(question + answer + short)
    return Record(
        id=next(filter(None, (text_of(row.cells, name) for name in IDS)), "") or Path(images[0]).stem,
        conversations=(Turn("user", f"{IMAGE_PLACEHOLDER}\n{question}"), Turn("assistant", short or answer)),
        images=images,
        meta={"answer_type": kind},
        source=row.source,
        row=row.number,
    )
