"""Preferences: answers about bags or images that are compared (chosen, rejected) or marked good or bad."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.formats.reading.assembly import Stream, folders_for, json_stream, reader
from pathplugins.data.formats.reading.conversations import ROLES, turns_of
from pathplugins.data.formats.reading.media import images_in
from pathplugins.data.formats.reading.rows import (
    BadRowError,
    Row,
    checked_text,
    drafts,
    refuse_placeholder,
    shown,
    text_of,
)
from pathplugins.data.formats.reading.tables import read_table
from pathplugins.data.records import IMAGE_PLACEHOLDER, Record, Turn

REJECTED, MARK = "rejected", "kto_tag"
"""Names in the meta of a record: the text of the worse answer, or ``true`` or ``false`` for a marked one."""
TABLES = (".csv", ".tsv")
_IMAGES = ("image", "images", "h5_path")
_ANSWERS = {True: ("chosen", REJECTED), False: ("answer", MARK)}
"""Whether answers are compared -> the columns that hold them."""
_MARKS = {"true": "true", "1": "true", "false": "false", "0": "false"}


@reader
def read_preferences(path: str | Path, *, media_dir: str | Path | None = None, ranking: bool = True) -> Stream:
    """Read pairs of answers, or marked answers; the last turn of a record is the chosen or the marked one.

    Args:
        path: A table (``.csv``, ``.tsv``) with ``question`` and ``image`` or ``h5_path``; or JSON samples that may have
            ``conversations``, as LLaVA's, in the place of ``question``, and several ``images``. Answers are text; in
            JSON also a turn, as LLaMA-Factory has them.
        media_dir: Where relative images are looked for first; then beside the file.
        ranking: Every row has ``chosen`` and ``rejected``; else ``answer`` (in JSON also the last turn of
            ``conversations``) and ``kto_tag``, true where it is good.
    """
    path = Path(path)
    make = functools.partial(_draft, compared=bool(ranking))
    if path.suffix not in TABLES:
        return json_stream(path, make, media_dir=media_dir)
    rows = functools.partial(
        read_table,
        path,
        wanted="a table of preferences (.csv or .tsv)",
        columns=("question", *_IMAGES, *_ANSWERS[True], *_ANSWERS[False]),
        check_header=functools.partial(_check_header, path=path, compared=bool(ranking)),
    )
    return Stream(path=path, drafts=lambda: drafts(rows(), make), make=make, folders=folders_for(path, media_dir))


def _check_header(names: list[str], *, path: Path, compared: bool) -> None:
    missing = [name for name in ("question", *_ANSWERS[compared]) if name not in names]
    if missing:
        raise PathPluginsError(
            f"{path} lacks the columns {', '.join(missing)}; it has {', '.join(names)}; {_other_kind(names, compared)}"
        )


def _other_kind(names: Any, compared: bool) -> str:
    """Return what to do about samples without the columns of this kind."""
    if all(name in names for name in _ANSWERS[not compared][-1:]):
        other = "are marked: remove" if compared else "are compared: set"
        return f'its answers {other} "ranking": true in dataset_info.json, for stage: {"kto" if compared else "dpo"}'
    return f"expected {' and '.join(_ANSWERS[compared])}"


def _draft(row: Row, *, compared: bool) -> Record:
    cells = row.cells
    images = images_in(cells, *_IMAGES)
    turns = _asked(cells, images)
    if compared:
        answer, meta = _pair(cells, turns)
    else:
        answer, meta = _marked(cells, turns)
    return Record(
        id=text_of(cells, "id") or text_of(cells, "slide_id") or Path(images[0] if images else row.source).stem,
        conversations=(*turns, Turn("assistant", answer)),
        images=images,
        meta=meta,
        source=row.source,
        row=row.number,
    )


def _asked(cells: Mapping[str, Any], images: tuple[str, ...]) -> list[Turn]:
    """Return the turns before the answer, with one ``<image>`` each before a question that stands alone."""
    if cells.get("conversations"):
        return turns_of(cells["conversations"])
    question = text_of(cells, "question")
    if not question:
        raise BadRowError("no question", "question is empty; expected what both answers are about")
    refuse_placeholder(question, "question")
    return [Turn("user", f"{IMAGE_PLACEHOLDER}\n" * len(images) + question)]


def _pair(cells: Mapping[str, Any], turns: list[Turn]) -> tuple[str, dict[str, str]]:
    if all(cells.get(name) is None for name in _ANSWERS[True]):
        raise BadRowError("no pair", f"neither chosen nor rejected is there; {_other_kind(cells, True)}")
    chosen, rejected = (_answer(cells, name) for name in _ANSWERS[True])
    if chosen == rejected:
        raise BadRowError("equal answers", f"chosen and rejected are both {shown(chosen)}; nothing can be preferred")
    if turns[-1].role != "user":
        raise BadRowError("turn order", "conversations end with an answer; expected the question of both answers")
    return chosen, {REJECTED: rejected}


def _marked(cells: Mapping[str, Any], turns: list[Turn]) -> tuple[str, dict[str, str]]:
    mark = cells.get(MARK)
    if mark is None:
        raise BadRowError("no mark", f"{MARK} is not there; {_other_kind(cells, False)}")
    meaning = _MARKS.get(str(mark).strip().casefold())
    if meaning is None:
        raise BadRowError("unreadable mark", f"{MARK} is {shown(mark)}; expected true for a good answer, else false")
    if cells.get("answer") is None and turns[-1].role == "assistant":
        answer = turns.pop().text.strip()
        if not answer:
            raise BadRowError("empty answer", "the last turn has no text; expected the answer that is marked")
        return answer, {MARK: meaning}
    return _answer(cells, "answer"), {MARK: meaning}


def _answer(cells: Mapping[str, Any], name: str) -> str:
    """Return an answer: text, or a turn of an assistant."""
    value = cells.get(name)
    if isinstance(value, dict):
        [turn] = turns_of([value], key=name)
        if turn.role != "assistant":
            raise BadRowError("malformed turn", f"{name} is said by {turn.role}; expected {_assistants()}")
        text = turn.text.strip()
    elif value is None or isinstance(value, str):
        text = checked_text(value or "", name).strip()
    else:
        raise BadRowError("not text", f"{name} is {shown(value)}; expected text, or a turn with from and value")
    if not text:
        raise BadRowError("empty answer", f"{name} is empty; expected an answer")
    refuse_placeholder(text, name)
    return text


def _assistants() -> str:
    return " or ".join(name for name, role in ROLES.items() if role == "assistant")
