"""Split a folder of tasks, each with a train and a test file (WSI-Bench): no slide is trained on and tested.

Each published task keeps its slides apart, and other tasks train on the slides it tests. The test files stay as they
are, so that numbers compare with published ones; what the train files say of a tested slide is moved out of training,
into test files of its own.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, TextIO

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import new_folder
from pathplugins.data.formats.wsi_bench import TASK_FILE
from pathplugins.data.records import BadSample
from pathplugins.data.splits.leaks import shared_groups

from .look import look_at
from .row_files import RawRow, RowFile, open_rows
from .row_groups import GroupRule

MOVED = "moved"
"""Folder, beside the files, of the samples that were moved out of training."""


class TaskFile(NamedTuple):
    """One file of a task, and what its rows name."""

    path: Path
    task: str
    split: str
    """``train`` or ``test``."""
    rows: RowFile
    groups: list[tuple[str, ...]]
    """Slides or patients of each row."""

    @property
    def named(self) -> set[str]:
        """Return the slides or patients of all rows."""
        return {group for several in self.groups for group in several}


@dataclass(frozen=True, kw_only=True)
class Moved:
    """What a split moved out of training."""

    samples: int
    of_samples: int
    groups: int
    of_groups: int
    """Slides or patients that are tested."""
    files: int
    """Train files that lost samples."""


def is_task_folder(folder: Path) -> bool:
    """Return whether a folder holds files of tasks."""
    return folder.is_dir() and any(TASK_FILE.fullmatch(path.name) for path in folder.iterdir())


def read_tasks(folder: Path, rule: GroupRule, *, on_ungrouped: Literal["error", "skip"]) -> list[TaskFile]:
    """Return the files of a folder of tasks, in the order of their names.

    Raises:
        BadSamplesError: rows that cannot be read, or that name no slide or patient.
        PathPluginsError: there are no train files, or no test files.
    """
    files = []
    for path in sorted(folder.iterdir()):
        if match := TASK_FILE.fullmatch(path.name):
            rows = open_rows(path)
            looked = look_at(rows, rule, on_ungrouped=on_ungrouped)
            within = iter(looked.within)
            groups = [next(within) if kept else () for kept in looked.kept.tolist()]
            files.append(TaskFile(path, match["task"], match["split"], rows, groups))
    if {file.split for file in files} != {"train", "test"}:
        found = ", ".join(file.path.name for file in files[:5])
        raise PathPluginsError(f"{folder}: wanted train and test files of tasks, found {found}; give the whole folder")
    return files


def leak_lines(files: list[TaskFile], by: str) -> list[str]:
    """Return a line on each test file whose slides or patients some train file has too, and one on all; or none."""
    lines = []
    for test in (file for file in files if file.split == "test"):
        trained = [file for file in files if file.split == "train" and file.named & test.named]
        own = {group for file in trained if file.task == test.task for group in file.named} & test.named
        others = {group for file in trained if file.task != test.task for group in file.named} & test.named
        if trained:
            where = ", ".join(file.path.name for file in trained[:4]) + ", ..." * (len(trained) > 4)
            lines.append(
                f"{test.path.name}: {len(own | others)} of its {len(test.named)} {by}s are trained on, {len(own)} in "
                f"its own task, {len(others)} in others ({where})"
            )
    parts = {split: _named(files, split) for split in ("train", "test")}
    for leak in shared_groups(parts):
        lines.append(f"all tasks: {len(leak.groups)} of {len(parts['test'])} tested {by}s are trained on")
    return lines


def divide_tasks(files: list[TaskFile], out: Path) -> Moved:
    """Write the new folder ``out``: test files as they are, train files without what is tested, ``moved/`` with that.

    All appear together, or nothing does. A train file that loses all its samples is not written.
    """
    tested = _named(files, "test")
    train = [file for file in files if file.split == "train"]
    counts = []
    with new_folder(out) as folder:
        for file in files:
            if file.split == "test":
                shutil.copyfile(file.path, folder / file.path.name)
        (folder / MOVED).mkdir()
        for file in train:
            counts.append(_divide(file, tested, folder))
        if not any((folder / MOVED).iterdir()):
            (folder / MOVED).rmdir()
    return Moved(
        samples=sum(counts),
        of_samples=sum(len(file.groups) for file in train),
        groups=len(tested & _named(files, "train")),
        of_groups=len(tested),
        files=sum(map(bool, counts)),
    )


def _divide(file: TaskFile, tested: set[str], folder: Path) -> int:
    """Write the rows of a train file to the two files they belong to; return how many were moved."""
    kept, moved = folder / file.path.name, folder / MOVED / file.path.name.replace("_train.", "_test.")
    streams: dict[Path, TextIO] = {}
    count = 0
    with ExitStack() as stack:
        for row, groups in zip(_rows(file), file.groups, strict=True):
            leaks = not tested.isdisjoint(groups)
            count += leaks
            path = moved if leaks else kept
            if path not in streams:
                streams[path] = stack.enter_context(path.open("w", encoding="utf-8", newline=""))
                streams[path].write(file.rows.head + row.text)
            else:
                streams[path].write(file.rows.between + row.text)
        for stream in streams.values():
            stream.write(file.rows.tail)
    return count


def _rows(file: TaskFile) -> Iterator[RawRow]:
    for row in file.rows.rows():
        if isinstance(row, BadSample):
            raise PathPluginsError(f"{file.path} was changed while it was divided; divide it again")
        yield row


def _named(files: list[TaskFile], split: str) -> set[str]:
    return {group for file in files if file.split == split for group in file.named}
