"""Write slide tables: one bag and one question a row."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from pathlib import Path, PurePath

from pathplugins.data.prompts import REPORT_REQUEST, with_source_style
from pathplugins.data.records import Record

from .target import NotHeldError, Sink, Target, only_image, only_question

COLUMNS = ("h5_path", "caption", "question", "answer", "slide_id", "dataset", "data_source")
_NAME = "a slide table"
_LONGEST = 131_072  # characters Python's csv module reads in a cell


def _rows(out: Path) -> Callable[[Record], list[str]]:
    """Return the function that makes a row: question and answer, or only the caption where the question asks for one.

    Choices stay in the text of the question, and blanks around a text are left out as the reader does. ``split`` is not
    written: a reader keeps the rows of one split, which would drop those that have none.
    """

    def row(record: Record) -> list[str]:
        image = only_image(record, ".h5", _NAME)
        question, answer = only_question(record, _NAME)
        slide_id, data_source = record.meta.get("slide_id") or PurePath(image).stem, record.meta.get("data_source", "")
        if question == REPORT_REQUEST:
            texts = (answer, "", "")
        else:
            style = with_source_style("", data_source)
            if not question.endswith(style):
                raise NotHeldError(f"data_source {data_source!r} adds lines to a question that this one does not have")
            texts = ("", question.removesuffix(style), answer)
            if not texts[1].strip():
                raise NotHeldError("no question; a row without one is read as a caption")
        cells = [image, *texts, slide_id, record.meta.get("dataset", ""), data_source]
        cells = [cell.strip() for cell in cells]
        if any("\0" in cell or len(cell) > _LONGEST for cell in cells):
            raise NotHeldError(f"a null character, or more than {_LONGEST} characters; a table cannot be read with it")
        return cells

    return row


def _table(rows: Sequence[Sequence[str]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)  # ends lines with CR LF: with LF alone, a CR in a cell is not quoted
    return text.getvalue().encode()


WSI_CSV = Target(rows=_rows, sink=lambda out: Sink(encode=_table, start=_table([COLUMNS])), suffix=".csv")
