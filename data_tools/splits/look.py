"""What the rows of a file say: the groups and the class of each, and which of them cannot be divided."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from pathplugins.core.counted import counted
from pathplugins.core.errors import BadSamplesError, PathPluginsError
from pathplugins.data.records import BadSample, BadSampleReport

from .row_files import TABLES, RawRow, RowFile
from .row_groups import LABEL_COLUMNS, PATIENT_COLUMNS, GroupRule, join_groups, require_column, usual_column

COARSER: dict[str, Literal["slide", "patient"]] = {"sample": "slide", "slide": "patient"}
"""What is never divided -> the unit above it, whose members may lie in several parts."""
NO_CLASS = ""  #: class of every row where rows have none


@dataclass(frozen=True, kw_only=True)
class Looked:
    """What the rows of a file say, without the rows."""

    groups: list[str]
    """Group of each row."""
    within: list[tuple[str, ...]]
    """Slides or patients that each row names, before rows that share one were joined."""
    labels: list[str]
    coarser: list[tuple[str, ...]]
    """The unit above the groups of each row where its names tell: patients of slides, slides of samples."""
    kept: np.ndarray
    """[rows of the file] bool: False for rows without a group."""
    label_column: str | None
    notes: list[str] = field(default_factory=list)


def look_at(
    file: RowFile,
    rule: GroupRule,
    *,
    on_ungrouped: Literal["error", "skip"],
    label_column: str | None = None,
    usual_label: bool = False,
) -> Looked:
    """Read the groups and classes of all rows.

    Args:
        file: The file.
        rule: How groups are found.
        on_ungrouped: Refuse rows without a group, or leave them out.
        label_column: Column of the class.
        usual_label: Take a column with a usual name, such as ``label``, where none is given.

    Raises:
        BadSamplesError: rows that cannot be read, or have no group; all in one report.
        PathPluginsError: no such column, or no row.
    """
    rows = _Rows(file.path, rule, label_column, usual_label)
    for row in file.rows():
        rows.add(row)
    if rows.bad or (rows.lost and on_ungrouped == "error"):
        raise rows.refusal()
    if not rows.within:
        raise PathPluginsError(f"{file.path} holds no row that can be divided; expected one sample a row")
    return rows.looked()


class _Rows:
    """Collects what rows say."""

    def __init__(self, path: Path, rule: GroupRule, label_column: str | None, usual_label: bool) -> None:
        self.within: list[tuple[str, ...]] = []
        self.bad: list[BadSample] = []
        self.lost: list[BadSample] = []
        self._path, self._rule, self._label_column, self._usual_label = path, rule, label_column, usual_label
        self._above = GroupRule(by=COARSER[rule.by]) if rule.by in COARSER else None
        self._labels: list[str] = []
        self._coarser: list[tuple[str, ...]] = []
        self._kept: list[bool] = []
        self._columns: list[str] | None = None
        self._seen: dict[tuple[str, ...], tuple[str, ...]] = {}

    def add(self, row: RawRow | BadSample) -> None:
        """Add a row."""
        if isinstance(row, BadSample):
            self.bad.append(row)
            return
        if self._columns is None:
            self._columns = list(row.cells)
            self._rule.check_columns(self._columns)
            require_column("--label-column", self._label_column, self._columns)
            if self._usual_label and self._label_column is None:
                self._label_column = usual_column(self._columns, LABEL_COLUMNS)
        groups = self._rule.groups(row)
        self._kept.append(bool(groups))
        if not groups:
            self.lost.append(self._without_group(row))
            return
        self.within.append(self._same(groups))
        self._labels.append(self._label(row))
        self._coarser.append(self._same(self._above.groups(row) if self._above else ()))

    def looked(self) -> Looked:
        """Return what the rows with a group say."""
        notes = [f"in no part: {counted(len(self.lost), 'row')} without a {self._rule.by}"] if self.lost else []
        if self._path.suffix in TABLES and "split" in (self._columns or ()):
            notes.append(
                "the column split stays as it is, and readers of slide tables keep the rows that say train there; "
                "remove the column from the parts"
            )
        return Looked(
            groups=join_groups(self.within),
            within=self.within,
            labels=self._labels,
            coarser=self._coarser,
            kept=np.array(self._kept, bool),
            label_column=self._label_column,
            notes=notes,
        )

    def refusal(self) -> BadSamplesError:
        """Return the error that names the rows that cannot be divided."""
        report = BadSampleReport(total=len(self._kept) + len(self.bad))
        report.add(self.bad)
        report.add(self.lost)
        advice = ["nothing was written"]
        if self.bad:
            advice.append("correct the rows that cannot be used")
        if self.lost:
            by = self._rule.by
            usual = usual_column(self._columns or (), PATIENT_COLUMNS) if by == "patient" else None
            advice.append(
                f"name the column of the {by} with --group-column{f' {usual}' if usual else ' NAME'}, give "
                r"--group-pattern '^(\w+)_' with one group, or pass --on-ungrouped skip"
            )
        return BadSamplesError(f"{report.text()}\n{'; '.join(advice)}")

    def _same(self, groups: tuple[str, ...]) -> tuple[str, ...]:
        """Return one object for all rows of a slide: there may be millions."""
        return self._seen.setdefault(groups, groups)

    def _label(self, row: RawRow) -> str:
        if self._label_column is None:
            return NO_CLASS
        value = row.cells.get(self._label_column)
        text = str(value).strip() if isinstance(value, str | int | float) else ""
        if not text:
            detail = f"{self._label_column} is empty; expected the class"
            self.bad.append(BadSample(source=str(self._path), row=row.number, reason="no class", detail=detail))
        return text

    def _without_group(self, row: RawRow) -> BadSample:
        by, column = self._rule.by, self._rule.column
        shown = ", ".join(f"{name} {str(cell)[:40]!r}" for name, cell in list(row.cells.items())[:3])
        detail = f"{column or 'ids and paths'} {'names' if column else 'name'} no {by}; it has {shown}"
        return BadSample(source=str(self._path), row=row.number, reason=f"no {by}", detail=detail)
