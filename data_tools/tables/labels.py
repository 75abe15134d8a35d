"""Labels of slides: a table with a column of slides and one of labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.records import BadSample

from ..splits.row_files import open_rows
from ..splits.row_groups import ID_COLUMNS, LABEL_COLUMNS, require_column, usual_column

SLIDE_COLUMNS = (*ID_COLUMNS, "filename", "file_name", "image_id", "image", "bag")


class SlideLabel(NamedTuple):
    """One row of the table."""

    row: int
    """Its line."""
    slide: str
    """Id, file name or path, as written."""
    label: str
    cells: dict[str, Any]


class Labels(NamedTuple):
    """The rows of a table of labels."""

    slide_column: str
    label_column: str
    rows: list[SlideLabel]
    bad: list[BadSample]
    """Rows that cannot be read, or lack a slide or a label."""


def read_labels(path: Path, *, slide_column: str | None = None, label_column: str | None = None) -> Labels:
    """Read a table of labels; every cell is text, so that ``007`` stays what it is.

    Args:
        path: CSV or TSV, or JSON samples.
        slide_column: Column of the slides; None takes a usual name.
        label_column: Column of the labels; None takes a usual name.

    Raises:
        PathPluginsError: no such file, or no such columns.
    """
    rows: list[SlideLabel] = []
    bad: list[BadSample] = []
    found = False
    for row in open_rows(path).rows():
        if isinstance(row, BadSample):
            bad.append(row)
            continue
        if not found:
            slide_column = _column(path, list(row.cells), "--slide-column", slide_column, SLIDE_COLUMNS)
            label_column = _column(path, list(row.cells), "--label-column", label_column, LABEL_COLUMNS)
            found = True
        slide, label = (_text(row.cells.get(column)) for column in (slide_column, label_column))
        if slide and label:
            rows.append(SlideLabel(row.number, slide, label, row.cells))
        else:
            empty = slide_column if not slide else label_column
            bad.append(BadSample(source=str(path), row=row.number, reason=f"no {empty}", detail=f"{empty} is empty"))
    if not found:
        raise PathPluginsError(f"{path} holds no row that can be read; expected a slide and its label in each")
    return Labels(str(slide_column), str(label_column), rows, bad)


def _column(path: Path, columns: Sequence[str], option: str, given: str | None, usual: Sequence[str]) -> str:
    """Return the column to take.

    Raises:
        PathPluginsError: it is not there; or none is given, and none or several labels have a usual name.
    """
    require_column(option, given, columns)
    if given is not None:
        return given
    candidates = [column for column in columns if column.lower() in usual]
    if not candidates:
        raise PathPluginsError(
            f"{path} has the columns {', '.join(columns)}, none of them called {', '.join(usual)}; pass {option} NAME"
        )
    if len(candidates) > 1 and option == "--label-column":
        raise PathPluginsError(f"{path}: {' and '.join(candidates)} may each be the label; pass {option} NAME")
    return usual_column(columns, usual) or candidates[0]


def _text(value: Any) -> str:
    return str(value).strip() if isinstance(value, str | int | float) and not isinstance(value, bool) else ""
