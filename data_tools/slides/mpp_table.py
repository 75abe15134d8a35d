"""Table of resolutions: a CSV with the microns per pixel of single slides, whatever they record."""

from __future__ import annotations

import csv
from pathlib import Path

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.nearest import near_path
from pathplugins.core.suffixes import SLIDE_SUFFIXES
from pathplugins.data.records import first_shown

from .recorded_mpp import PLAUSIBLE_MPP, positive_number

SLIDE_COLUMNS = ("slide", "slide_id", "wsi", "filename")


def read_mpp_table(path: Path) -> dict[str, float]:
    """Read microns per pixel by slide id from a CSV file with a column of slides and one called ``mpp``.

    The column of slides is called ``slide``, ``slide_id``, ``wsi`` or ``filename`` and holds ids, names or paths.

    Raises:
        PathPluginsError: no such file or column; or all the rows that are wrong, together.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file, skipinitialspace=True)
            columns = [column.strip().lower() for column in rows.fieldnames or ()]
            rows.fieldnames = columns
            slides = next((column for column in SLIDE_COLUMNS if column in columns), None)
            if slides is None or "mpp" not in columns:
                raise PathPluginsError(
                    f"{path}: wanted a column mpp and one of {', '.join(SLIDE_COLUMNS)}; its first row says "
                    f"{', '.join(columns) or 'nothing'}; correct the first row"
                )
            return _table(path, [(rows.line_num, row[slides], row["mpp"]) for row in rows])
    except FileNotFoundError as error:
        raise PathPluginsError(f"{path}: no such file{near_path(path)}; give a CSV of slides and mpp") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PathPluginsError(f"{path}: cannot be read as CSV ({error}); save it as CSV, UTF-8") from error


def _table(path: Path, rows: list[tuple[int, str | None, str | None]]) -> dict[str, float]:
    """Return the (line, slide, mpp) rows of ``path`` as a dictionary; a slide may come twice with the same value."""
    table: dict[str, float] = {}
    wrong = []
    low, high = PLAUSIBLE_MPP
    for line, slide, written in rows:
        name = Path((slide or "").strip())
        slide_id = name.stem if name.suffix.lower() in SLIDE_SUFFIXES else name.name  # ids have dots too
        mpp = positive_number(written or "")
        if not slide_id:
            wrong.append(f"line {line}: names no slide")
        elif mpp is None or not low <= mpp <= high:
            wrong.append(f"line {line}: mpp of {slide_id} is {written!r}, not microns per pixel ({low:g} to {high:g})")
        elif table.setdefault(slide_id, mpp) != mpp:
            wrong.append(f"line {line}: {slide_id} is {mpp:g} here and {table[slide_id]:g} above")
    if wrong:
        raise PathPluginsError(
            f"{path}: {len(wrong)} of {len(rows)} rows cannot be used; correct them:\n{first_shown(wrong)}"
        )
    return table
