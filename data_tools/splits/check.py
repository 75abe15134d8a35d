"""Check splits that exist, ours or of anybody: which slides or patients their parts share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.splits import read_split
from pathplugins.data.splits.leaks import Leak, shared_groups

from .look import look_at
from .row_files import open_rows
from .row_groups import GroupRule


def check_split(path: Path, rule: GroupRule) -> list[Leak]:
    """Return what the parts of a split file share, by the names in it.

    Raises:
        PathPluginsError: no split, or names that do not tell their group.
    """
    if rule.column:
        raise PathPluginsError("a split file holds names and no columns; give --group-pattern in place of the column")
    of_name = (lambda name: name) if rule.by == "sample" else rule.of_path
    return read_split(path).leaks(of_name)


def check_files(paths: Sequence[Path], rule: GroupRule, *, on_ungrouped: Literal["error", "skip"]) -> list[Leak]:
    """Return what files of rows share, e.g. ``train.csv`` and ``test.csv``.

    Raises:
        PathPluginsError: files or rows that cannot be read, or rows without a group.
    """
    looked = {str(path): look_at(open_rows(path), rule, on_ungrouped=on_ungrouped) for path in paths}
    if len(looked) < len(paths):
        raise PathPluginsError("a file is given twice; give each part once")
    return shared_groups({path: (group for several in one.within for group in several) for path, one in looked.items()})
