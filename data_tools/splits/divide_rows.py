"""Divide a file of rows: a file of the same format for each part of each fold."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TextIO

import numpy as np

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import new_folder
from pathplugins.data.records import BadSample
from pathplugins.data.splits.leaks import Leak, shared_groups
from pathplugins.data.splits.make import Plan, assign
from pathplugins.data.splits.split import PARTS

from .row_files import RawRow, RowFile


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


def _good(file: RowFile) -> Iterator[RawRow]:
    for row in file.rows():
        if isinstance(row, BadSample):
            raise PathPluginsError(f"{file.path} was changed while it was divided; divide it again")
        yield row
