"""Process list: a CSV with one row per slide, in which users leave slides out and change settings of single ones.

A blank cell means the value of the command line. We write the file in the work folder and users edit it: their cells
are never changed but for the last column, new slides are appended.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from pathplugins.core.counted import counted
from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import write_text_whole
from pathplugins.core.nearest import near_path, nearest
from pathplugins.core.suffixes import slide_name
from pathplugins.data.records import first_shown

from ..tissue.detect import TissueSpec
from .spec import TilingSpec

NAME = "process_list.csv"
_TISSUE = {f.name: type(f.default) for f in fields(TissueSpec) if f.name not in ("mpp", "model")}
_FIELDS = {"slide_mpp": "override_mpp", "min_tissue": "min_tissue"}
PARAMETERS: dict[str, type] = {**dict.fromkeys(_FIELDS, float), **_TISSUE}
"""Columns with settings, and their types; the slide's own resolution is an override, whatever it records."""
QUESTION = "question"  #: column that a run fills: what the user should look at
COLUMNS = ("slide_id", "slide", "process", *PARAMETERS, QUESTION)
Row = dict[str, str]  #: column -> cell


@dataclass(frozen=True, kw_only=True)
class SlideRow:
    """One slide of a list: whether it is done, and with which settings of its own."""

    process: bool
    changes: dict[str, Any]
    """Parameter -> value, for the cells that are not blank."""
    slide: str = ""
    """Path of the slide, as written."""

    def applied(self, spec: TilingSpec) -> TilingSpec:
        """Return ``spec`` with the settings of this slide."""
        tissue = {key: value for key, value in self.changes.items() if key in _TISSUE}
        own = {_FIELDS[key]: value for key, value in self.changes.items() if key in _FIELDS}
        return replace(spec, **own, tissue=replace(spec.tissue, **tissue))


def read_process_list(path: Path, spec: TilingSpec) -> dict[str, SlideRow]:
    """Read a list: slide id -> its row.

    Args:
        path: The CSV file.
        spec: The settings of the run; those of a row are checked together with them.

    Raises:
        PathPluginsError: not such a list; or bad cells, all of them in one report.
    """
    found: dict[str, SlideRow] = {}
    seen: set[str] = {""}
    bad: list[str] = []
    for line, row in _rows(path):
        slide_id = row["slide_id"]
        if slide_id in seen:
            bad.append(f"row {line}, slide_id: {slide_id!r}, wanted a name that is in no other row")
            continue
        seen.add(slide_id)
        cells = {key: _parsed(row[key], kind) for key, kind in PARAMETERS.items() if row.get(key)}
        process = _parsed(row.get("process") or "1", bool)
        wrong = {key: row[key] for key, value in {**cells, "process": process}.items() if value is None}
        bad += [f"row {line} ({slide_id}), {key}: {cell!r}, wanted {_wanted(key)}" for key, cell in wrong.items()]
        if wrong:
            continue
        found[slide_id] = SlideRow(process=process, changes=cells, slide=row.get("slide", ""))
        try:
            found[slide_id].applied(spec)
        except PathPluginsError as error:
            bad.append(f"row {line} ({slide_id}): {error}")
    if bad:
        raise PathPluginsError(
            f"{path}: {counted(len(bad), 'bad cell')}; correct them (blank means the value of the command):\n"
            + first_shown(bad)
        )
    return found


def update_process_list(path: Path, slides: Iterable[Path], listed: Collection[str] = ()) -> None:
    """Write a list of these slides, or append those that an existing list lacks; existing cells stay unchanged.

    Args:
        path: The list.
        slides: The slides of this run.
        listed: Ids that the list has in another spelling.
    """
    rows = {row["slide_id"]: row for _, row in _rows(path)} if path.exists() else {}
    before = dict(rows)
    for slide in (slide for slide in slides if slide_name(slide) not in listed):
        rows.setdefault(slide_name(slide), {"slide_id": slide_name(slide), "slide": str(slide), "process": "1"})
    if path.exists() and rows.keys() == before.keys():
        return
    _write(path, rows.values())


def record_questions(path: Path, questions: Mapping[str, str], slides: Iterable[str]) -> None:
    """Write what is to be questioned into a list; the cells of other slides and columns stay unchanged.

    Args:
        path: The list; nothing is done without one.
        questions: Question by slide id.
        slides: Ids of all slides that were looked at; those without a question lose an earlier one.
    """
    if not path.exists():
        return
    rows, looked_at = [row for _, row in _rows(path)], set(slides)
    before = [row.get(QUESTION, "") for row in rows]
    for row in rows:
        if row["slide_id"] in looked_at:
            row[QUESTION] = questions.get(row["slide_id"], "")
    if [row.get(QUESTION, "") for row in rows] != before:
        _write(path, rows)


def _write(path: Path, rows: Iterable[Row]) -> None:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text_whole(path, text.getvalue())


def _rows(path: Path) -> list[tuple[int, Row]]:
    """Return (line, cells) of every row that is not empty; cells are stripped."""
    try:
        text = path.read_text(encoding="utf-8-sig")  # spreadsheets put a mark before the first column
    except FileNotFoundError as error:
        raise PathPluginsError(f"{path}: no such file{near_path(path)}; give a process list") from error
    except (OSError, UnicodeDecodeError) as error:
        raise PathPluginsError(f"{path}: not a readable process list ({error}); save it as CSV, UTF-8") from error
    reader = csv.DictReader(io.StringIO(text, newline=""))
    header = [name.strip() for name in reader.fieldnames or ()]
    if "slide_id" not in header:
        raise PathPluginsError(
            f"{path}: no column slide_id, only {header}; wanted columns {', '.join(COLUMNS)}, separated by commas"
        )
    for name in header:
        if name not in COLUMNS or header.count(name) > 1:
            near = nearest(name, COLUMNS)
            hint = f"; did you mean {near}?" if near and name not in COLUMNS else ""
            raise PathPluginsError(f"{path}: column {name!r} is none of {', '.join(COLUMNS)}, each once{hint}")
    reader.fieldnames = header
    rows = []
    for cells in reader:
        if None in cells:
            raise PathPluginsError(
                f"{path}, row {reader.line_num}: more cells than the {len(header)} columns; quote cells with commas"
            )
        row = {name: (cell or "").strip() for name, cell in cells.items()}
        if any(row.values()):
            rows.append((reader.line_num, row))
    return rows


def _parsed(cell: str, kind: type) -> Any:
    """Return the value of a cell; None if it is not of this kind."""
    words: dict[str, bool] = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
    convert: Callable[[str], Any] = (lambda word: words[word.lower()]) if kind is bool else kind
    try:
        return convert(cell)
    except (ValueError, KeyError):
        return None


def _wanted(column: str) -> str:
    kinds = {bool: "1 or 0", str: "a word", int: "a whole number", float: "a number, with a point as in 0.25"}
    return kinds[bool if column == "process" else PARAMETERS[column]]
