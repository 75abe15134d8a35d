"""Slide tables: CSV or TSV files with a feature bag, or the bags of a case, and its texts per row.

Standard columns are ``h5_path, caption, question, answer, slide_id, dataset``, optionally ``choices``,
``data_source`` and ``split``. The PathText variant has ``filepath, title, subset``. A cell with several bags of one
case has ``;`` between their paths, in the order in which the model is to see them. Every cell is text ("NA", "None"
and "1" stay what they are). A row number is the line a row starts on; the header is line 1.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.choices import lettered, match_choice, parse_choices
from pathplugins.data.formats.reading.assembly import Stream, folders_for, reader
from pathplugins.data.formats.reading.rows import (
    BadRowError,
    Draft,
    Row,
    Unwanted,
    choice_texts,
    none_kept,
    refuse_placeholder,
    same,
)
from pathplugins.data.formats.reading.tables import read_table
from pathplugins.data.prompts import REPORT_REQUEST, caption_question, with_source_style
from pathplugins.data.records import IMAGE_PLACEHOLDER, BadSample, Record, Turn

Mode = Literal["report", "vqa"]

_STANDARD = ("h5_path", "caption", "question", "answer", "slide_id", "dataset")
_OPTIONAL = ("choices", "data_source", "split")
BETWEEN_BAGS = ";"
"""Between the paths of the bags of one case."""
_PATHTEXT = {"filepath": "h5_path", "title": "caption", "subset": "dataset"}


@reader
def read_wsi_csv(
    path: str | Path,
    *,
    mode: Mode = "vqa",
    split: str | None = "train",
    data_source: str | None = None,
    media_dir: str | Path | None = None,
) -> Stream:
    """Read a slide table: the records of its good rows, and the faults of the others.

    Args:
        path: The table, comma or tab separated, UTF-8.
        mode: ``report`` asks every slide for its report and answers with the caption (stage 2). ``vqa`` takes question
            and answer, or a caption question and the caption where a row has neither (stage 3).
        split: Rows kept, if the table has a ``split`` column; None keeps all.
        data_source: Rows kept, compared without case; None keeps all.
        media_dir: Where relative bag paths are looked for first; then beside the table.
    """
    path = Path(path)
    if mode not in ("report", "vqa"):
        raise PathPluginsError(f"mode is {mode!r}, expected 'report' or 'vqa'")
    return Stream(
        path=path,
        drafts=lambda: _drafts(path, mode, split, data_source),
        folders=folders_for(path, media_dir),
        look=True,
    )


def _drafts(path: Path, mode: Mode, split: str | None, data_source: str | None) -> Iterator[Draft]:
    source = str(path)
    filters: list[_Filter] | None = None
    for row in _read_rows(path, mode):
        if isinstance(row, BadSample):
            yield row
            continue
        if filters is None:
            filters = _filters(path, row.cells, split, data_source)
        slide_id = row.cells["slide_id"]
        if not all(wanted.keeps(row) for wanted in filters):
            yield Unwanted(slide_id)
            continue
        try:
            record = _record(row, source, mode)
        except BadRowError as error:
            yield Unwanted(slide_id)
            yield BadSample(source=source, row=row.number, reason=error.reason, detail=str(error))
            continue
        yield record
    for wanted in filters or ():
        wanted.finish(path)


def _read_rows(path: Path, mode: Mode) -> Iterator[Row | BadSample]:
    for row in read_table(
        path,
        wanted="a slide table (.csv or .tsv)",
        columns=(*_STANDARD, *_OPTIONAL, *_PATHTEXT),
        check_header=functools.partial(_check_header, path=path, mode=mode),
    ):
        yield row if isinstance(row, BadSample) else row._replace(cells=_standard_cells(row.cells))


class _Filter:
    """Keeps the rows with one value in a column."""

    def __init__(self, column: str, wanted: str, advice: str) -> None:
        self._column, self._wanted, self._advice = column, wanted, advice
        self._kept, self._others = False, Counter[str]()

    def keeps(self, row: Row) -> bool:
        """Return whether the row has the value."""
        kept = same(row.cells[self._column], self._wanted)
        if kept:
            self._kept = True
        else:
            self._others[row.cells[self._column]] += 1
        return kept

    def finish(self, path: Path) -> None:
        """Raise ``PathPluginsError`` if rows were read and none had the value."""
        if not self._kept and self._others:
            raise none_kept(path, self._column, self._wanted, self._others, self._advice)


def _filters(path: Path, columns: dict[str, str], split: str | None, data_source: str | None) -> list[_Filter]:
    filters = []
    if split is not None and "split" in columns:
        advice = 'set "split" of this dataset in dataset_info.json to one of them'
        filters.append(_Filter("split", split, advice))
    if data_source is not None:
        if "data_source" not in columns:
            raise PathPluginsError(
                f"{path} has no data_source column to keep {data_source!r} by, only {', '.join(columns)}; "
                "add the column or remove filter_by_data_source"
            )
        filters.append(_Filter("data_source", data_source, "set filter_by_data_source to one of them"))
    return filters


def _check_header(names: list[str], *, path: Path, mode: Mode) -> None:
    if _is_pathtext(names):
        return
    wanted = ["h5_path", "slide_id"]
    if mode == "report" or not {"question", "answer"} & {*names}:
        wanted.append("caption")
    else:
        wanted += ["question", "answer"]
    missing = [name for name in wanted if name not in names]
    if missing:
        raise PathPluginsError(
            f"{path} lacks the columns {', '.join(missing)} for mode {mode!r}; it has {', '.join(names)}; expected "
            f"{', '.join(_STANDARD)} or {', '.join(_PATHTEXT)}, separated by commas or tabs"
        )


def _is_pathtext(names: list[str] | dict[str, str]) -> bool:
    return "filepath" in names and "title" in names and "h5_path" not in names


def _standard_cells(cells: dict[str, str]) -> dict[str, str]:
    """Return the cells of a row under the standard names, whichever variant the table has."""
    if not _is_pathtext(cells):
        return cells
    slide_id = Path(cells["filepath"]).name.removesuffix(".h5")
    renamed = {_PATHTEXT.get(name, name): cell for name, cell in cells.items()}
    defaults = {"slide_id": slide_id, "data_source": "PathText"}
    return {**defaults, **renamed, "dataset": renamed.get("dataset") or "PathText"}


def _record(row: Row, source: str, mode: Mode) -> Record:
    cells = row.cells
    for column in ("slide_id", "h5_path"):
        if not cells[column]:
            raise BadRowError(f"no {column}", f"{column} is empty; expected a value in every row")
    question, answer = _report_texts(cells) if mode == "report" else _vqa_texts(cells)
    refuse_placeholder(question + answer)
    bags = _bags(cells["h5_path"])
    return Record(
        id=cells["slide_id"],
        conversations=(Turn("user", f"{IMAGE_PLACEHOLDER * len(bags)}\n{question}"), Turn("assistant", answer)),
        images=bags,
        meta={name: cells[name] for name in ("slide_id", "dataset", "data_source", "split") if cells.get(name)},
        source=source,
        row=row.number,
    )


def _bags(cell: str) -> tuple[str, ...]:
    """Return the paths in a cell."""
    paths = tuple(path.strip() for path in cell.split(BETWEEN_BAGS))
    if not all(paths):
        said = f"h5_path is {cell!r}; expected a path, or several with {BETWEEN_BAGS!r} between one and the next"
        raise BadRowError("no h5_path", said)
    if len(set(paths)) < len(paths):
        raise BadRowError("repeated bag", f"h5_path is {cell!r}, which names a bag twice; name each slide once")
    return paths


def _report_texts(cells: dict[str, str]) -> tuple[str, str]:
    if not cells["caption"]:
        raise BadRowError("no caption", "caption is empty; expected the report to learn")
    return REPORT_REQUEST, cells["caption"]


def _vqa_texts(cells: dict[str, str]) -> tuple[str, str]:
    question, answer, caption = (cells.get(name, "") for name in ("question", "answer", "caption"))
    if question and not answer:
        raise BadRowError("no answer", "a question without an answer; expected both or neither")
    if answer and not question:
        raise BadRowError("no question", "an answer without a question; expected both or neither")
    if not question and not caption:
        raise BadRowError("no text", "question, answer and caption are empty; expected question and answer, or caption")
    data_source = cells.get("data_source", "")
    if not question:
        return with_source_style(caption_question(cells["slide_id"]), data_source), caption
    question = with_source_style(question, data_source)
    try:
        choices = parse_choices(cells.get("choices", ""))
    except PathPluginsError as error:
        raise BadRowError("unreadable choices", str(error)) from error
    if not choices:
        return question, answer
    index = match_choice(answer, choices)
    if index is None:
        said = f"the answer {answer!r} is none of {choices}, or more than one; write letter and text"
        raise BadRowError("answer not among choices", f"{said}, such as {lettered(choices)[0]!r}")
    return choice_texts(question, choices, index)
