"""Leaks: groups, such as slides or patients, with samples in two parts of a fold."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from pathplugins.data.splits.groups import GroupOf, groups_of, some


class Leak(NamedTuple):
    """The groups that two parts share."""

    fold: int
    parts: tuple[str, str]
    groups: tuple[str, ...]
    """Sorted."""

    def __str__(self) -> str:
        one, other = self.parts
        return f"fold {self.fold}: {one} and {other} share {len(self.groups)}: {some(self.groups)}"


def leaks_between(parts: Mapping[str, Sequence[str]], group_of: GroupOf, *, fold: int = 0) -> list[Leak]:
    """Return what each two parts share; empty where they are apart.

    Args:
        parts: Name of a part -> names of its samples.
        group_of: Name of a sample -> its slide or patient.
        fold: Number of the fold, for the report.

    Raises:
        PathPluginsError: names whose group is not known.
    """
    names = [name for inside in parts.values() for name in inside]
    groups = iter(groups_of(names, group_of))
    return shared_groups({part: itertools.islice(groups, len(inside)) for part, inside in parts.items()}, fold=fold)


def shared_groups(parts: Mapping[str, Iterable[str]], *, fold: int = 0) -> list[Leak]:
    """Return which groups each two parts share: name of a part -> groups of its samples."""
    within = {part: set(groups) for part, groups in parts.items()}
    return [
        Leak(fold, (one, other), tuple(sorted(shared)))
        for one, other in itertools.combinations(within, 2)
        if (shared := within[one] & within[other])
    ]
