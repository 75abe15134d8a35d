"""Record of what a run was started with: written into each checkpoint, compared before the run goes on from it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pathplugins.core.files import read_json, write_json

FILE = "pathplugins_run.json"
"""Name of the record inside a checkpoint."""


class Change(NamedTuple):
    """A condition that is no longer what it was."""

    name: str
    before: Any
    now: Any


def write(checkpoint_dir: Path, conditions: Mapping[str, Any]) -> None:
    """Write the conditions of a run into one of its checkpoints.

    Args:
        checkpoint_dir: the folder of the checkpoint.
        conditions: name -> value that JSON can hold; a mapping may stand for a value.
    """
    write_json(Path(checkpoint_dir) / FILE, dict(conditions))


def read(checkpoint_dir: Path) -> dict[str, Any] | None:
    """Return the conditions in a checkpoint; None in one that an earlier version or another program has written."""
    path = Path(checkpoint_dir) / FILE
    return read_json(path) if path.is_file() else None


def compare(checkpoint_dir: Path, conditions: Mapping[str, Any]) -> list[Change]:
    """Return what differs between the conditions in a checkpoint and those of now; nothing where none are recorded."""
    before = read(checkpoint_dir)
    return [] if before is None else differences(before, conditions)


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[Change]:
    """Return the conditions that differ, by name.

    A condition that only one of the two knows is passed over: it is of another version of this package. Inside a
    mapping every name counts, absent ones as None, and the change is named with a dot: ``model.vision_tower``.
    """
    now = json.loads(json.dumps(dict(now)))  # as it would be read back: tuples are lists, keys are text
    return [change for name in sorted(before.keys() & now.keys()) for change in _changes(name, before[name], now[name])]


def every_difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[Change]:
    """Return the conditions that differ, by name, those that only one of the two knows among them: it lacks no name."""
    names = dict.fromkeys((*before, *now))
    return differences({**names, **before}, {**names, **now})


def sentence(changes: list[Change]) -> str:
    """Return the changes in words: ``batch size was 4, is 2; number of processes was 1, is 2``."""
    return "; ".join(f"{name} was {_worded(before)}, is {_worded(now)}" for name, before, now in changes)


def _changes(name: str, before: Any, now: Any) -> list[Change]:
    if isinstance(before, dict) and isinstance(now, dict):
        inner = sorted(before.keys() | now.keys())
        return [change for key in inner for change in _changes(f"{name}.{key}", before.get(key), now.get(key))]
    return [] if before == now else [Change(name, before, now)]


def _worded(value: Any) -> str:
    return "not set" if value is None else str(value)
