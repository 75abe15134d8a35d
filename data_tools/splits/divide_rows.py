"""Divide a file of rows: a file of the same format for each part of each fold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TextIO

import numpy as np

from pathplugins.core.errors import BadSamplesError, PathPluginsError
from pathplugins.core.files import new_folder
from pathplugins.data.records import BadSample, BadSampleReport
from pathplugins.data.splits.leaks import Leak, shared_groups
from pathplugins.data.splits.make import Plan, assign
from pathplugins.data.splits.split import PARTS

from .row_files import TABLES, RawRow, RowFile
from .row_groups import LABEL_COLUMNS, PATIENT_COLUMNS, GroupRule, join_groups, require_column, usual_column

NO_CLASS = ""  #: class of every row where rows have none
_COARSER: dict[str, Literal["slide", "patient"]] = {"sample": "slide", "slide": "patient"}


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
    within: list[tuple[str, ...]] = []
    labels: list[str] = []
    coarser: list[tuple[str, ...]] = []
    kept: list[bool] = []
    bad: list[BadSample] = []
    lost: list[BadSample] = []
    above = GroupRule(by=_COARSER[rule.by]) if rule.by in _COARSER else None
    columns: list[str] | None = None
    for row in file.rows():
        if isinstance(row, BadSample):
            bad.append(row)
            continue
        if columns is None:
            columns = list(row.cells)
            rule.check_columns(columns)
            require_column("--label-column", label_column, columns)
            if usual_label and label_column is None:
                label_column = usual_column(columns, LABEL_COLUMNS)
        groups = rule.groups(row)
        kept.append(bool(groups))
        if not groups:
            lost.append(_lost(file.path, row, rule))
            continue
        within.append(groups)
        labels.append(NO_CLASS if label_column is None else _label(file.path, row, label_column, bad))
        coarser.append(above.groups(row) if above else ())
    if bad or (lost and on_ungrouped == "error"):
        raise _refused(bad, lost, len(kept) + len(bad), columns or [], rule)
    if not within:
        raise PathPluginsError(f"{file.path} holds no row that can be divided; expected one sample a row")
    notes = [f"{len(lost)} rows without a {rule.by} are in no part"] if lost else []
    if file.path.suffix in TABLES and "split" in (columns or ()):
        notes.append(
            "the column split stays as it is, and readers of slide tables keep the rows that say train there; remove "
            "the column from the parts"
        )
    return Looked(
        groups=join_groups(within),
        within=within,
        labels=labels,
        coarser=coarser,
        kept=np.array(kept, bool),
        label_column=label_column,
        notes=notes,
    )


def assign_apart(
    groups: Sequence[str], labels: Sequence[str], plan: Plan, within: Sequence[tuple[str, ...]]
) -> np.ndarray:
    """Return the part of every sample in every fold, int8 [folds, N], after checking that parts share nothing.

    Args:
        groups: Group of each sample.
        labels: Class of each sample.
        plan: Folds and shares.
        within: Slides or patients that each sample names.

    Raises:
        PathPluginsError: parts share a slide or patient.
    """
    parts = assign(groups, labels, plan)
    if leaks := leaks_of(parts, within):
        raise PathPluginsError("nothing was written, parts share groups:\n" + "\n".join(map(str, leaks)))
    return parts


def leaks_of(parts: np.ndarray, groups: Sequence[tuple[str, ...]]) -> list[Leak]:
    """Return the groups that parts share, given the groups of every row; rows without any say nothing."""
    return [
        leak
        for fold, row in enumerate(parts)
        for leak in shared_groups(
            {
                part: (group for at in np.flatnonzero(row == code) for group in groups[at])
                for code, part in enumerate(PARTS)
            },
            fold=fold,
        )
    ]


def write_parts(file: RowFile, kept: np.ndarray, parts: np.ndarray, out: Path) -> list[Path]:
    """Write ``out/train.csv`` and so on, in a folder for each of several folds; return the files.

    All appear together, or none does. A part without rows has no file.

    Args:
        file: The file that was divided.
        kept: [rows] bool, rows that are in a part.
        parts: [folds, kept rows], numbers of ``PARTS``.
        out: A folder that is new or empty.
    """
    names = [
        [Path(f"fold_{fold}" if len(parts) > 1 else "") / f"{part}{file.path.suffix}" for part in PARTS]
        for fold in range(len(parts))
    ]
    used = {names[fold][code] for fold, row in enumerate(parts) for code in np.unique(row).tolist()}
    with new_folder(out) as folder, ExitStack() as stack:
        streams: dict[Path, TextIO] = {}
        for name in sorted(used):
            (folder / name).parent.mkdir(exist_ok=True)
            streams[name] = stack.enter_context((folder / name).open("w", encoding="utf-8", newline=""))
            streams[name].write(file.head)
        begun: set[Path] = set()
        places = np.cumsum(kept) - 1  # [rows] -> column of parts
        for number, row in enumerate(_good(file)):
            if number >= len(kept):
                raise PathPluginsError(f"{file.path} was changed while it was divided; divide it again")
            if not kept[number]:
                continue
            for fold in range(len(parts)):
                name = names[fold][parts[fold, places[number]]]
                streams[name].write(file.between + row.text if name in begun else row.text)
                begun.add(name)
        for stream in streams.values():
            stream.write(file.tail)
    return [out / name for name in sorted(used)]


def coarser_unit(by: str) -> str | None:
    """Return the unit whose members may lie in several parts: slides of samples, patients of slides."""
    return _COARSER.get(by)


def _good(file: RowFile) -> Iterator[RawRow]:
    for row in file.rows():
        if isinstance(row, BadSample):
            raise PathPluginsError(f"{file.path} was changed while it was divided; divide it again")
        yield row


def _label(path: Path, row: RawRow, column: str, bad: list[BadSample]) -> str:
    value = row.cells.get(column)
    text = str(value).strip() if isinstance(value, str | int | float) else ""
    if not text:
        bad.append(
            BadSample(
                source=str(path), row=row.number, reason="no class", detail=f"{column} is empty; expected the class"
            )
        )
    return text


def _lost(path: Path, row: RawRow, rule: GroupRule) -> BadSample:
    detail = f"{rule.column} names no {rule.by}" if rule.column else f"its ids and paths name no {rule.by}"
    shown = ", ".join(f"{name} {str(cell)[:40]!r}" for name, cell in list(row.cells.items())[:3])
    return BadSample(source=str(path), row=row.number, reason=f"no {rule.by}", detail=f"{detail}; it has {shown}")


def _refused(
    bad: list[BadSample], lost: list[BadSample], total: int, columns: list[str], rule: GroupRule
) -> BadSamplesError:
    report = BadSampleReport(total=total)
    report.add(bad)
    report.add(lost)
    advice = ["nothing was written"]
    if bad:
        advice.append("correct the rows that cannot be used")
    if lost:
        usual = usual_column(columns, PATIENT_COLUMNS) if rule.by == "patient" else None
        advice.append(
            f"name the column of the {rule.by} with --group-column{f' {usual}' if usual else ' NAME'}, give "
            r"--group-pattern '^(\w+)_' with one group, or pass --on-ungrouped skip"
        )
    return BadSamplesError(f"{report.text()}\n{'; '.join(advice)}")
