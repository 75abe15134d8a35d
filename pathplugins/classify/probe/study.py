"""What a probe is run on: labelled bags, their patients and the folds; and the same with permuted labels."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pathplugins.data.bags import stable_seed
from pathplugins.data.splits.make import Plan, assign


@dataclass(frozen=True, kw_only=True, eq=False)
class Study:
    """S labelled bags."""

    slides: Sequence[str]
    bags: Sequence[Path]
    groups: Sequence[str]
    """Patient of each slide, or the slide: what no two parts of a fold share."""
    classes: Sequence[str]
    """K names, sorted."""
    labels: np.ndarray
    """int64 [S], places in ``classes``."""
    parts: np.ndarray
    """int8 [folds, S], numbers of train, valid and test; each slide is tested in one fold."""

    def part(self, fold: int, code: int) -> np.ndarray:
        """Return the places of the slides in one part of a fold."""
        return np.flatnonzero(self.parts[fold] == code)

    def names(self) -> list[str]:
        """Return the class of each slide."""
        return [self.classes[label] for label in self.labels]

    def fingerprint(self) -> str:
        """Return an id of slides, labels, groups, folds, and the files of the bags by size and time."""
        files = [(path.name, (stat := path.stat()).st_size, stat.st_mtime_ns) for path in self.bags]
        rows = sorted(zip(self.slides, self.groups, self.names(), self.parts.T.tolist(), files, strict=True))
        return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:12]


def study_of(
    slides: Sequence[str], bags: Sequence[Path], groups: Sequence[str], labels: Sequence[str], plan: Plan
) -> Study:
    """Divide labelled bags into folds; slides are sorted by name, so that the order of a table is no matter.

    Raises:
        PathPluginsError: too few groups for the folds.
    """
    order = sorted(range(len(slides)), key=slides.__getitem__)
    slides, bags, groups, labels = ([each[at] for at in order] for each in (slides, bags, groups, labels))
    classes = sorted({*labels})
    return Study(
        slides=slides,
        bags=bags,
        groups=groups,
        classes=classes,
        labels=np.array([classes.index(label) for label in labels], np.int64),
        parts=assign(groups, labels, plan),
    )


def permuted(study: Study, plan: Plan) -> Study:
    """Return the study with the labels of its groups exchanged by chance, and folds that suit those labels.

    Slides of a patient keep one label where all patients had one; else labels are exchanged slide by slide.
    """
    random = np.random.default_rng(stable_seed(plan.seed, "permuted labels"))
    _, first, group_of = np.unique(np.array(study.groups), return_index=True, return_inverse=True)
    of_group = study.labels[first]  # [G]
    if (of_group[group_of] == study.labels).all():
        labels = random.permutation(of_group)[group_of]
    else:
        labels = random.permutation(study.labels)
    parts = assign(study.groups, [study.classes[label] for label in labels], plan)
    return replace(study, labels=labels, parts=parts)
