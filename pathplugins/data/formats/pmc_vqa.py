"""PMC-VQA: a table of multiple-choice questions about figures."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.choices import choice_of_letter
from pathplugins.data.formats.reading.assembly import Stream, folders_for, reader
from pathplugins.data.formats.reading.rows import (
    BadRowError,
    Draft,
    Row,
    choice_texts,
    drafts,
    none_kept,
    refuse_placeholder,
    same,
    text_of,
)
from pathplugins.data.formats.reading.tables import read_table, require_columns
from pathplugins.data.records import IMAGE_PLACEHOLDER, BadSample, Record, Turn

LETTERS = "ABCD"
COLUMNS = ("Figure_path", "Question", *(f"Choice {letter}" for letter in LETTERS))
ANSWERS = ("Answer_label", "Answer")
IN_QUILT = "in_quilt"
"""Column of Quilt-LLaVA's ``pmcvqa_pathology_subset.csv``: True where the figure is in its training data too."""
LETTER_REQUEST = "Answer with the option's letter from the given choices directly."


@reader
def read_pmc_vqa(
    path: str | Path,
    *,
    media_dir: str | Path | None = None,
    ids: str | Path | None = None,
    in_quilt: bool | None = None,
    published_prompt: bool = False,
) -> Stream:
    """Read questions; the user text lists the choices as ``A) ...``, the answer is the line of the right choice.

    Args:
        path: ``train.csv``, ``train_2.csv``, ... Choices may carry their own ``A:``. The right one is named by
            ``Answer_label`` (a letter) or, without that column, by ``Answer``: a letter, as in version 2, or the text.
        media_dir: Where the figures were unpacked; then beside the table.
        ids: Index file of the samples to keep: one id a line, a JSON list or a table.
        in_quilt: Rows kept by the column of that name; Quilt-LLaVA is tested on those where it is False.
        published_prompt: Ask in the words of Quilt-LLaVA's test, the choices as the table has them, for a letter.
    """
    path = Path(path)
    if in_quilt not in (None, True, False):
        raise PathPluginsError(f"in_quilt is {in_quilt!r}, expected true or false")
    wanted = (*COLUMNS, IN_QUILT) if in_quilt is not None else COLUMNS

    def check_header(names: list[str]) -> None:
        require_columns(path, wanted)(names)
        if not {*ANSWERS} & {*names}:
            raise PathPluginsError(f"{path} has neither {' nor '.join(ANSWERS)}, only {', '.join(names)}; add one")

    def rows() -> Iterator[Row | BadSample]:
        return read_table(path, wanted="a table of PMC-VQA", columns=(*wanted, *ANSWERS), check_header=check_header)

    def found() -> Iterator[Draft]:
        other: Counter[str] = Counter()
        kept = 0

        def make(row: Row) -> Record | None:
            nonlocal kept
            if in_quilt is not None and not same(row.cells[IN_QUILT], str(in_quilt)):
                other[row.cells[IN_QUILT]] += 1
                return None
            kept += 1
            return _draft(row, published_prompt)

        yield from drafts(rows(), make)
        if not kept and other:
            raise none_kept(path, IN_QUILT, str(in_quilt), other, "leave in_quilt out to keep them")

    return Stream(path=path, drafts=found, folders=folders_for(path, media_dir), ids=ids)


def _draft(row: Row, published_prompt: bool) -> Record:
    image, question = text_of(row.cells, "Figure_path"), text_of(row.cells, "Question")
    if not image or not question:
        raise BadRowError("no question", "Figure_path or Question is empty; expected both")
    choices = [_without_letter(text_of(row.cells, f"Choice {letter}"), letter) for letter in LETTERS]
    while choices and not choices[-1]:
        choices.pop()
    if len(choices) < 2 or not all(choices):
        raise BadRowError("unreadable choices", f"choices are {choices}; expected two or more, none empty")
    answer = _answer(row, choices)
    user, assistant = choice_texts(question, choices, answer)
    if published_prompt:
        user, assistant = _published_question(row, len(choices)), LETTERS[answer]
    refuse_placeholder(user)
    return Record(
        id=Path(image).stem,
        conversations=(Turn("user", f"{IMAGE_PLACEHOLDER}\n{user}"), Turn("assistant", assistant)),
        images=(image,),
        meta={},
        source=row.source,
        row=row.number,
    )


def _published_question(row: Row, choices: int) -> str:
    """Return the question as Quilt-LLaVA's scripts write it: the choices bring their own letters."""
    names = ("Question", *(f"Choice {letter}" for letter in LETTERS[:choices]))
    return "\n".join((*(text_of(row.cells, name) for name in names), LETTER_REQUEST))


def _answer(row: Row, choices: list[str]) -> int:
    """Return the index of the right choice, by its label if there is one."""
    label, text = text_of(row.cells, "Answer_label").upper(), text_of(row.cells, "Answer")
    if not label:
        index = choice_of_letter(text, choices)
        if index is None:
            raise BadRowError("answer not among choices", f"the answer {text!r} is none of {choices}, or several")
        return index
    index = LETTERS.find(label)
    if len(label) != 1 or not 0 <= index < len(choices):
        raise BadRowError("answer not among choices", f"Answer_label is {label!r}; expected a letter of {choices}")
    return index


def _without_letter(choice: str, letter: str) -> str:
    """Turn ``" A: benign "`` into ``"benign"``, for the choice's own letter only: ``"E. coli"`` stays."""
    return re.sub(rf"^\s*{re.escape(letter)}\s*[:)]\s*", "", choice, count=1).strip() if letter else choice
