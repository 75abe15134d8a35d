"""Divide a patch set, or name the pictures of published folds in it."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.barcodes import patient_of
from pathplugins.data.patch_sets import PatchSet
from pathplugins.data.splits.groups import GroupOf, pattern_group, some
from pathplugins.data.splits.leaks import Leak, shared_groups
from pathplugins.data.splits.make import Plan, make_split
from pathplugins.data.splits.split import PARTS, By, Fold, Split


class Divided(NamedTuple):
    """A split of a patch set, and what its parts hold."""

    split: Split
    parts: np.ndarray
    """[folds, N] int8, numbers of ``PARTS``; -1 in no part."""
    groups: list[str]
    """[N], ``""`` where it is not known."""
    labels: list[str]
    """[N]; all ``""`` for masks."""

    def leaks(self, groups: list[str] | None = None) -> list[Leak]:
        """Return which known groups the parts share: those of the split, or others given for each sample."""
        of = self.groups if groups is None else groups
        return [
            leak
            for fold, row in enumerate(self.parts)
            for leak in shared_groups(
                {part: {of[at] for at in np.flatnonzero(row == code)} - {""} for code, part in enumerate(PARTS)},
                fold=fold,
            )
        ]


def groups_in(patch_set: PatchSet, by: By, pattern: str | None = None) -> list[str]:
    """Return the slide, patient or name of every picture, ``""`` where it is not known.

    Args:
        patch_set: The pictures.
        by: The unit.
        pattern: Regular expression with one group that finds it in the name; None takes the slides that the set knows,
            and TCGA barcodes for patients.
    """
    if by == "sample":
        return list(patch_set.names)
    if pattern is not None:
        group_of: GroupOf = pattern_group(pattern)
        return [group_of(name) or "" for name in patch_set.names]
    if by == "slide":
        return list(patch_set.groups)
    return [patient_of(name) or patient_of(slide) or "" for name, slide in _named(patch_set)]


def divide_patch_set(
    patch_set: PatchSet, plan: Plan, *, by: By, pattern: str | None, on_ungrouped: Literal["error", "skip"]
) -> Divided:
    """Divide the pictures so that no slide or patient is in two parts of a fold.

    Raises:
        PathPluginsError: pictures whose group is not known, unless they may be left out.
    """
    groups, labels = groups_in(patch_set, by, pattern), labels_in(patch_set)
    names = list(patch_set.names)
    known = [at for at, group in enumerate(groups) if group]
    if len(known) < len(names) and (on_ungrouped == "error" or not known):
        lost = [name for name, group in zip(names, groups, strict=True) if not group]
        raise PathPluginsError(
            f"{patch_set.root}: {len(lost)} of {len(names)} pictures do not tell their {by}: {some(lost)}; give "
            r"--group-pattern with one group, such as '/(\w+)_\d+', or pass --on-ungrouped skip"
        )
    split = make_split(
        [names[at] for at in known],
        [groups[at] for at in known],
        [labels[at] for at in known],
        plan,
        by=by,
        source=str(patch_set.root),
    )
    divided = Divided(split, _parts(split, names), groups, labels)
    if leaks := divided.leaks():
        raise PathPluginsError("nothing was written, parts share groups:\n" + "\n".join(map(str, leaks)))
    return divided


def name_published(patch_set: PatchSet, published: Split, *, on_missing: Literal["error", "skip"]) -> Divided:
    """Return a split of others by the names of this set's pictures, e.g. the published folds of PTCGA200.

    Raises:
        PathPluginsError: names that only one side has, unless they may be left out, or base names that repeat.
    """
    folds = []
    for fold in published.folds:
        applied = fold.apply(patch_set, on_missing=on_missing)
        names = {part: tuple(inside.names) for part, inside in applied.items()}
        folds.append(Fold(number=fold.number, source=published.source, **names))
    split = Split(by=published.by, seed=published.seed, source=published.source, folds=tuple(folds))
    unit: By = "slide" if published.by == "sample" else published.by
    parts = _parts(split, list(patch_set.names))
    return Divided(split, parts, groups_in(patch_set, unit), labels_in(patch_set))


def labels_in(patch_set: PatchSet) -> list[str]:
    """Return the class of every picture, ``""`` of a set with masks."""
    if patch_set.task == "masks":
        return [""] * len(patch_set)
    return [patch_set.classes[label] for label in patch_set.labels.tolist()]


def _named(patch_set: PatchSet) -> zip[tuple[str, str]]:
    return zip(patch_set.names, patch_set.groups, strict=True)


def _parts(split: Split, names: list[str]) -> np.ndarray:
    """Return the number of the part of every name in every fold, int8 [folds, N]; -1 for none."""
    place = {name: at for at, name in enumerate(names)}
    parts = np.full((len(split.folds), len(names)), -1, np.int8)
    for fold in split.folds:
        for code, inside in enumerate(fold.parts().values()):
            parts[fold.number, [place[name] for name in inside]] = code
    return parts
