"""Slide tables: CSV or TSV files with one feature bag and its texts per row.

Standard columns are ``h5_path, caption, question, answer, slide_id, dataset``, optionally ``choices``,
``data_source`` and ``split``. The PathText variant has ``filepath, title, subset``. Every cell is text ("NA", "None"
and "1" stay what they are). A row number is the line a row starts on; the header is line 1.
"""

from __future__ import annotations

import csv
import functools
import io
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.choices import lettered, match_choice, parse_choices
from pathplugins.data.prompts import REPORT_REQUEST, caption_question, with_source_style
from pathplugins.data.records import IMAGE_PLACEHOLDER, BadSample, Record, Turn

Mode = Literal["report", "vqa"]

_STANDARD = ("h5_path", "caption", "question", "answer", "slide_id", "dataset")
_OPTIONAL = ("choices", "data_source", "split")
_PATHTEXT = {"filepath": "h5_path", "title": "caption", "subset": "dataset"}


class _Row(NamedTuple):
    line: int
    cells: dict[str, str]  # standard column -> stripped text


class _BadRowError(Exception):
    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True, kw_only=True)
class _Table:
    columns: list[str]
    """Of the file, as standard names."""
    rows: list[_Row]
    bad: list[BadSample]


def read_wsi_csv(
    path: str | Path,
    *,
    mode: Mode = "vqa",
    split: str | None = "train",
    data_source: str | None = None,
    media_dir: str | Path | None = None,
) -> tuple[list[Record], list[BadSample]]:
    """Read a slide table: the records of its good rows, and what is wrong with the others.

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
    table = _read_table(path, mode)
    rows = table.rows
    if split is not None and "split" in table.columns:
        rows = _only(rows, "split", split, path, 'set "split" of this dataset in dataset_info.json to one of them')
    if data_source is not None:
        if "data_source" not in table.columns:
            raise PathPluginsError(
                f"{path} has no data_source column to keep {data_source!r} by, only {', '.join(table.columns)}; "
                "add the column or remove filter_by_data_source"
            )
        rows = _only(rows, "data_source", data_source, path, "set filter_by_data_source to one of them")
    uses = Counter(row.cells["slide_id"] for row in table.rows)
    locate = functools.cache(functools.partial(_locate, folders=_folders(path, media_dir)))
    records, bad = [], list(table.bad)
    for row in rows:
        try:
            records.append(_record(row, str(path), mode, locate, repeated=uses[row.cells["slide_id"]] > 1))
        except _BadRowError as error:
            bad.append(BadSample(source=str(path), row=row.line, reason=error.reason, detail=str(error)))
    return records, sorted(bad, key=lambda sample: sample.row or 0)


def _read_table(path: Path, mode: Mode) -> _Table:
    text = _read_text(path)
    first_line = next(iter(text.splitlines()), "")
    if first_line.startswith("version https://git-lfs"):
        raise PathPluginsError(f"{path} is a Git-LFS pointer, not the table itself; fetch it with `git lfs pull`")
    if not first_line.strip():
        raise PathPluginsError(f"{path} is empty; expected a header with the columns {', '.join(_STANDARD)}")
    known = {*_STANDARD, *_OPTIONAL, *_PATHTEXT}
    delimiter = max(",\t", key=lambda mark: len(known & {cell.strip(' "') for cell in first_line.split(mark)}))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header: list[str] | None = None
    rows, bad = [], []
    while True:
        line = reader.line_num + 1
        try:
            cells = [cell.strip() for cell in next(reader)]
        except StopIteration:
            break
        except csv.Error as error:
            detail = f"not readable as CSV: {error}; is a quotation mark left open or not doubled?"
            if header is None:
                raise PathPluginsError(f"{path}:{line} is {detail}") from error
            bad.append(BadSample(source=str(path), row=line, reason="malformed row", detail=detail))
            continue
        if header is None:
            header = _header(cells, path, mode)
        elif any(cells) and len(cells) == len(header):
            rows.append(_Row(line, _standard_cells(dict(zip(header, cells, strict=True)))))
        elif any(cells):
            detail = f"{len(cells)} fields, the header has {len(header)}; put text with separators in quotation marks"
            bad.append(BadSample(source=str(path), row=line, reason="ragged row", detail=detail))
    if not rows and not bad:
        raise PathPluginsError(f"{path} has a header and no rows; expected one row per sample")
    columns = list(_standard_cells(dict.fromkeys(header or [], "")))
    return _Table(columns=columns, rows=rows, bad=bad)


def _read_text(path: Path) -> str:
    if not path.is_file():
        raise PathPluginsError(f"{path}: no such file; expected a slide table (.csv or .tsv) there")
    data = path.read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise PathPluginsError(f"{path}:{line} is not UTF-8 ({error.reason}); save the table as UTF-8") from error


def _header(names: list[str], path: Path, mode: Mode) -> list[str]:
    """The column names, once they are known to be usable."""
    repeated = sorted(name for name, count in Counter(names).items() if name and count > 1)
    if repeated:
        raise PathPluginsError(f"{path} has more than one column {', '.join(repeated)}; remove or rename the others")
    if _is_pathtext(names):
        return names
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
    return names


def _is_pathtext(names: list[str] | dict[str, str]) -> bool:
    return "filepath" in names and "title" in names and "h5_path" not in names


def _standard_cells(cells: dict[str, str]) -> dict[str, str]:
    """A row under the standard names, whichever variant it came in."""
    if not _is_pathtext(cells):
        return cells
    slide_id = Path(cells["filepath"]).name.removesuffix(".h5")
    renamed = {_PATHTEXT.get(name, name): cell for name, cell in cells.items()}
    defaults = {"slide_id": slide_id, "data_source": "PathText"}
    return {**defaults, **renamed, "dataset": renamed.get("dataset") or "PathText"}


def _only(rows: list[_Row], column: str, wanted: str, path: Path, advice: str) -> list[_Row]:
    kept = [row for row in rows if row.cells[column].casefold() == wanted.strip().casefold()]
    if not kept:
        found = Counter(row.cells[column] or "(empty)" for row in rows)
        counts = ", ".join(f"{value} ({count})" for value, count in found.most_common(10)) or "no rows"
        raise PathPluginsError(f"{path}: no row has {column} {wanted!r}; found {counts}; {advice}")
    return kept


def _folders(path: Path, media_dir: str | Path | None) -> tuple[Path, ...]:
    beside = path.absolute().parent
    return (beside,) if media_dir is None else (Path(media_dir).absolute(), beside)


def _locate(h5_path: str, *, folders: tuple[Path, ...]) -> tuple[str | None, list[str]]:
    """The bag's absolute path or None, and the places looked at; an absolute ``h5_path`` ignores the folders."""
    places = list(dict.fromkeys(folder / h5_path for folder in folders))
    found = next((place for place in places if place.is_file()), None)
    return (str(found) if found else None), [str(place) for place in places]


def _record(
    row: _Row, source: str, mode: Mode, locate: Callable[[str], tuple[str | None, list[str]]], *, repeated: bool
) -> Record:
    cells = row.cells
    for column in ("slide_id", "h5_path"):
        if not cells[column]:
            raise _BadRowError(f"no {column}", f"{column} is empty; expected a value in every row")
    question, answer = _report_texts(cells) if mode == "report" else _vqa_texts(cells)
    if IMAGE_PLACEHOLDER in question + answer:
        raise _BadRowError("misplaced placeholder", f"the text contains {IMAGE_PLACEHOLDER}, which is added by itself")
    image, places = locate(cells["h5_path"])
    if image is None:
        raise _BadRowError("missing file", f"no bag at {' or '.join(dict.fromkeys(places))}; set media_dir or h5_path")
    return Record(
        id=f"{cells['slide_id']}#{row.line}" if repeated or "#" in cells["slide_id"] else cells["slide_id"],
        conversations=(Turn("user", f"{IMAGE_PLACEHOLDER}\n{question}"), Turn("assistant", answer)),
        images=(image,),
        meta={name: cells[name] for name in ("slide_id", "dataset", "data_source", "split") if cells.get(name)},
        source=source,
        row=row.line,
    )


def _report_texts(cells: dict[str, str]) -> tuple[str, str]:
    if not cells["caption"]:
        raise _BadRowError("no caption", "caption is empty; expected the report to learn")
    return REPORT_REQUEST, cells["caption"]


def _vqa_texts(cells: dict[str, str]) -> tuple[str, str]:
    question, answer, caption = (cells.get(name, "") for name in ("question", "answer", "caption"))
    if question and not answer:
        raise _BadRowError("no answer", "a question without an answer; expected both or neither")
    if answer and not question:
        raise _BadRowError("no question", "an answer without a question; expected both or neither")
    if not question and not caption:
        raise _BadRowError(
            "no text", "question, answer and caption are empty; expected question and answer, or caption"
        )
    data_source = cells.get("data_source", "")
    if not question:
        return with_source_style(caption_question(cells["slide_id"]), data_source), caption
    question = with_source_style(question, data_source)
    try:
        choices = parse_choices(cells.get("choices", ""))
    except PathPluginsError as error:
        raise _BadRowError("unreadable choices", str(error)) from error
    if not choices:
        return question, answer
    index = match_choice(answer, choices)
    if index is None:
        raise _BadRowError("answer not among choices", f"the answer {answer!r} is none of {choices}, or more than one")
    lines = lettered(choices)
    return "\n".join((f"{question}\n", "Choose one of these:", *lines)), lines[index]
