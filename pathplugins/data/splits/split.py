"""A split: folds of sample names, applied to a set of samples by name and never by place."""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar

import numpy as np

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.spreadsheets import probable_cause
from pathplugins.data.splits.groups import GroupOf, some
from pathplugins.data.splits.leaks import Leak, leaks_between

PARTS = ("train", "valid", "test")
By = Literal["slide", "patient", "sample"]


class Named(Protocol):
    """Samples with names, such as a patch set."""

    @property
    def names(self) -> Sequence[str]:
        """Unique names, one a sample."""
        ...

    def take(self, indices: np.ndarray) -> Any:
        """Return the samples at these places, int64."""
        ...


Samples = TypeVar("Samples", bound=Named)


@dataclass(frozen=True, kw_only=True)
class Fold:
    """One division into train, valid and test."""

    number: int
    train: Sequence[str]
    valid: Sequence[str]
    test: Sequence[str]
    source: str = "split"
    """The file, for messages."""
    base_names: bool = False
    """Whether the names are those of files without their folders, as in the published split."""

    def parts(self) -> dict[str, Sequence[str]]:
        """Return the names of each part."""
        return {part: getattr(self, part) for part in PARTS}

    def apply(self, samples: Samples, *, on_missing: Literal["error", "skip"] = "error") -> dict[str, Samples]:
        """Divide samples as this fold says: name of the part -> its samples, in the order that they have.

        Args:
            samples: A patch set, or anything with ``names`` and ``take``.
            on_missing: What to do about names of one side that the other has not; ``skip`` leaves them out.

        Raises:
            PathPluginsError: names that only one side has, a name in two parts, or base names that two samples share.
        """
        where = f"{self.source} fold {self.number}"
        part_of = self._part_of(where)
        keys = [posixpath.basename(name) for name in samples.names] if self.base_names else samples.names
        if self.base_names:
            refuse_repeated(keys, f"{where} knows files by name alone, and the set has several called so")
        missing = part_of.keys() - set(keys)
        others = [name for name, key in zip(samples.names, keys, strict=True) if key not in part_of]
        if on_missing == "error" and (missing or others):
            raise PathPluginsError(_unmatched(where, len(part_of), sorted(missing), len(keys), others))
        places: dict[str, list[int]] = {part: [] for part in PARTS}
        for place, key in enumerate(keys):
            if key in part_of:
                places[part_of[key]].append(place)
        if part_of and not any(places.values()):
            raise PathPluginsError(f"{where} has no name of this set: {some(sorted(missing))}; is it of another set?")
        return {part: samples.take(np.array(places[part], np.int64)) for part in PARTS}

    def _part_of(self, where: str) -> dict[str, str]:
        """Return name -> part."""
        names = [name for inside in self.parts().values() for name in inside]
        refuse_repeated(names, f"{where} has names more than once")
        return {name: part for part, inside in self.parts().items() for name in inside}


@dataclass(frozen=True, kw_only=True)
class Split:
    """Folds, and how they were made."""

    by: By
    """What was never divided over two parts."""
    seed: int | None
    """None for a published split."""
    source: str
    """What was divided, or the published file."""
    folds: tuple[Fold, ...]

    def fold(self, number: int) -> Fold:
        """Return a fold, counted from 0."""
        if not 0 <= number < len(self.folds):
            raise PathPluginsError(
                f"{self.source} has no fold {number}; it has {len(self.folds)}: give 0 to {len(self.folds) - 1}"
            )
        return self.folds[number]

    def leaks(self, group_of: GroupOf) -> list[Leak]:
        """Return which groups the parts of each fold share, by e.g. ``barcodes.patient_of``; empty if none."""
        return [leak for fold in self.folds for leak in leaks_between(fold.parts(), group_of, fold=fold.number)]


def refuse_repeated(names: Sequence[str], fault: str) -> None:
    """Raise ``PathPluginsError`` with this fault and the names that stand in ``names`` more than once."""
    if len(set(names)) < len(names):
        repeated = [name for name, count in Counter(names).items() if count > 1]
        raise PathPluginsError(f"{fault}: {len(repeated)}, {some(repeated)}; rename or remove the others")


def _unmatched(where: str, named: int, missing: list[str], there: int, others: list[str]) -> str:
    lines = []
    if missing:
        cause = probable_cause(missing, others)
        lines.append(f"{len(missing)} of its {named} names are not in the set ({some(missing)}){cause}")
    if others:
        lines.append(f"{len(others)} of the set's {there} are in no part of it ({some(others)})")
    advice = "give the set that it was made for, or divide this one with `pathdata patchtcga split`"
    return f"{where}: {'; '.join(lines)}; {advice}"
