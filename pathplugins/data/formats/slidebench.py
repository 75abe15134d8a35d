"""SlideBench: a table of multiple-choice questions about slides, ``ID,Slide,Tumor,...,Question,A,B,C,D,Answer``."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path

from pathplugins.data.choices import choice_of_letter
from pathplugins.data.formats.reading.assembly import Stream, folders_for, reader
from pathplugins.data.formats.reading.rows import BadRowError, Row, choice_texts, drafts, refuse_placeholder, text_of
from pathplugins.data.formats.reading.tables import read_table, require_columns
from pathplugins.data.records import IMAGE_PLACEHOLDER, BadSample, Record, Turn

LETTERS = "ABCD"
COLUMNS = ("ID", "Slide", "Tumor", "Question", *LETTERS, "Answer")
META = {"Slide": "slide_id", "Tumor": "tumor", "Broad Category": "broad_category", "Narrow Category": "narrow_category"}


@reader
def read_slidebench(
    path: str | Path,
    *,
    media_dir: str | Path | None = None,
    ids: str | Path | None = None,
    published_prompt: bool = False,
) -> Stream:
    """Read questions; the user text lists the choices as ``A) ...``, the answer is the line of the right choice.

    Args:
        path: The table. Its ``Output`` column, which an evaluation adds, is ignored.
        media_dir: Where ``{Tumor}/{Slide}.csv`` are looked for first; then beside the table.
        ids: Index file of the samples to keep: one id a line, a JSON list or a table.
        published_prompt: List the choices as SlideChat's test does, ``A. ...`` right below the question, instead of in
            the words of the other multiple-choice formats here.
    """
    path = Path(path)

    def rows() -> Iterator[Row | BadSample]:
        return read_table(
            path, wanted="a table of SlideBench", columns=COLUMNS, check_header=require_columns(path, COLUMNS)
        )

    make = functools.partial(_draft, texts=_published_texts if published_prompt else choice_texts)
    return Stream(path=path, drafts=lambda: drafts(rows(), make), folders=folders_for(path, media_dir), ids=ids)


def _draft(row: Row, *, texts: Callable[[str, list[str], int], tuple[str, str]]) -> Record:
    slide, tumor, question, answer = (text_of(row.cells, name) for name in ("Slide", "Tumor", "Question", "Answer"))
    if not slide or not tumor or not question:
        raise BadRowError("no question", "Slide, Tumor or Question is empty; expected all of them")
    refuse_placeholder(question)
    choices = [text_of(row.cells, letter) for letter in LETTERS]
    while choices and not choices[-1]:
        choices.pop()
    if len(choices) < 2 or not all(choices):
        raise BadRowError("unreadable choices", f"choices are {choices}; expected two or more, none empty")
    index = choice_of_letter(answer, choices)
    if index is None:
        raise BadRowError("answer not among choices", f"the answer {answer!r} is none of {choices}, or several")
    user, assistant = texts(question, choices, index)
    return Record(
        id=text_of(row.cells, "ID") or slide,
        conversations=(Turn("user", f"{IMAGE_PLACEHOLDER}\n{user}"), Turn("assistant", assistant)),
        images=(f"{tumor}/{slide}.csv",),
        meta={key: text for name, key in META.items() if (text := text_of(row.cells, name))},
        source=row.source,
        row=row.number,
    )


def _published_texts(question: str, choices: list[str], answer: int) -> tuple[str, str]:
    lines = [f"{letter}. {choice}" for letter, choice in zip(LETTERS, choices, strict=False)]
    return "\n".join((question, *lines)), lines[answer]
