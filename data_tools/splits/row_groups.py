"""Groups of rows: the slide or patient that each row of a file is of.

A row of several images may be of several groups; rows that share one then belong together.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.nearest import nearest
from pathplugins.core.suffixes import SLIDE_SUFFIXES
from pathplugins.data.barcodes import patient_of, slide_of
from pathplugins.data.formats.wsi_csv import BETWEEN_BAGS
from pathplugins.data.splits.groups import GroupOf, pattern_group
from pathplugins.data.splits.split import By

from .row_files import RawRow

ID_COLUMNS = ("slide_id", "slide", "wsi_id", "wsi")  #: their cells are ids of slides
PATH_COLUMNS = (
    *("h5_path", "filepath", "file_path", "image", "images", "image_path", "img_path", "path"),
    *("filename", "file_name"),
)
"""Their cells are paths of bags, slides or pictures."""
PATIENT_COLUMNS = ("case_id", "patient_id", "patient", "case", "subject_id", "submitter_id")
LABEL_COLUMNS = ("label", "class", "diagnosis", "subtype", "category", "target")
_PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
_ONE_SLIDE = (".h5", ".hdf5", ".pt", ".pth", ".csv", *(each for each in SLIDE_SUFFIXES if each not in _PICTURES))
"""Files of these suffixes are one slide each; pictures may be patches of one."""


@dataclass(frozen=True, kw_only=True)
class GroupRule:
    """How the groups of a row are found."""

    by: By
    column: str | None = None
    """The column (or JSON key) that holds them; None looks for barcodes in ids and paths of slides."""
    pattern: str | None = None
    """Regular expression with one group, on that column or on ids and paths."""

    def __post_init__(self) -> None:
        if self.by == "sample" and (self.column or self.pattern):
            raise PathPluginsError("--by sample knows no groups; leave --group-column and --group-pattern out")
        if self.pattern:
            pattern_group(self.pattern)

    def check_columns(self, columns: Iterable[str]) -> None:
        """Raise ``PathPluginsError`` unless a table with these columns has the column of the groups."""
        require_column("--group-column", self.column, list(columns))

    def groups(self, row: RawRow) -> tuple[str, ...]:
        """Return the groups of a row, sorted; none where one of its images does not tell."""
        if self.by == "sample":
            return (hashlib.sha256(row.text.strip().encode("utf-8", "surrogatepass")).hexdigest(),)
        if self.column is not None:
            found = _each(_texts(row.cells.get(self.column)), self._in_cell)
        elif texts := _id(row.cells):
            found = _each(texts, self._in_id)
        else:
            found = _each(_paths(row.cells), self._in_path)
        return tuple(sorted(set(found)))

    def of_path(self, path: str) -> str | None:
        """Return the group of a picture, bag or slide file by its path; None where it does not tell."""
        return self._in_path(path)

    def _in_cell(self, text: str) -> str | None:
        return pattern_group(self.pattern)(text) if self.pattern else text

    def _in_id(self, text: str) -> str | None:
        if self.pattern:
            return pattern_group(self.pattern)(text)
        return patient_of(text) if self.by == "patient" else slide_of(text) or slide_name(text)

    def _in_path(self, path: str) -> str | None:
        if self.pattern:
            return pattern_group(self.pattern)(path)
        if self.by == "patient":
            return patient_of(path)
        name = PurePosixPath(path).name
        return slide_of(path) or (slide_name(name) if name.lower().endswith(_ONE_SLIDE) else None)


def slide_name(name: str) -> str:
    """Return the id of a slide: its file name without the suffixes of features and slides, e.g. ``.svs.h5``."""
    name = name.replace("\\", "/").rpartition("/")[2]
    for suffixes in ((".h5", ".hdf5", ".pt", ".pth", ".csv"), SLIDE_SUFFIXES):
        if suffix := next((each for each in suffixes if name.lower().endswith(each)), None):
            name = name[: -len(suffix)]
    return name


def join_groups(groups: Sequence[tuple[str, ...]]) -> list[str]:
    """Return one group for each row, the same for rows that share one, directly or through others."""
    parent: dict[str, str] = {}

    def root(name: str) -> str:
        while (above := parent.setdefault(name, name)) != name:
            parent[name] = parent[above]
            name = above
        return name

    for several in groups:
        first, *others = map(root, several)
        for other in others:
            low, high = sorted((root(first), root(other)))
            parent[high] = low
    return [root(several[0]) for several in groups]


def require_column(option: str, column: str | None, columns: Sequence[str]) -> None:
    """Raise ``PathPluginsError`` if a column is asked for that is not there."""
    if column is not None and column not in columns:
        near = nearest(column, columns)
        hint = f"; did you mean {near}?" if near else ""
        raise PathPluginsError(f"{option} {column}: there is no such column, only {', '.join(columns)}{hint}")


def usual_column(columns: Iterable[str], usual: Sequence[str]) -> str | None:
    """Return the first of the usual names that a column has, in its own spelling; None if none has one."""
    there = {column.lower(): column for column in columns}
    return next((there[name] for name in usual if name in there), None)


def _id(cells: Mapping[str, Any]) -> list[str]:
    column = usual_column(cells, ID_COLUMNS)
    return _texts(cells[column]) if column else []


def _paths(cells: Mapping[str, Any]) -> list[str]:
    column = usual_column((name for name in cells if _texts(cells[name])), PATH_COLUMNS)
    found = _texts(cells[column]) if column else []
    return [path for text in found for path in text.split(BETWEEN_BAGS)] if column == "h5_path" else found


def _texts(value: Any) -> list[str]:
    """Return the texts in a cell: one, or those of a list; none for anything else."""
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(each, str | int) and not isinstance(each, bool) for each in values):
        return []
    return [text for each in values if (text := str(each).strip())]


def _each(texts: list[str], group_of: GroupOf) -> list[str]:
    found = [group_of(text.replace("\\", "/")) for text in texts]
    known = [group for group in found if group]
    return known if len(known) == len(found) else []
