"""Count what the parts of folds hold: samples, groups, classes, and the classes that a part lacks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pathplugins.data.splits.groups import coded
from pathplugins.data.splits.split import PARTS


class PartCount(NamedTuple):
    """What one part of a fold holds."""

    fold: int
    part: str
    samples: int
    groups: int
    classes: dict[str, int]
    """Class -> samples, every class of the whole."""


def count_parts(parts: np.ndarray, groups: Sequence[str], labels: Sequence[str]) -> list[PartCount]:
    """Count every part of every fold.

    Args:
        parts: [folds, N], numbers of ``PARTS``; others, such as -1, are in no part.
        groups: Group of each sample; ``""``, where it is not known, is not counted.
        labels: Class of each sample.
    """
    distinct, group_of = coded(groups)
    unknown = distinct.index("") if "" in distinct else -1
    classes, class_of = coded(labels)
    counted = []
    for fold, row in enumerate(parts):
        for code, part in enumerate(PARTS):
            inside = row == code  # [N]
            of_class = np.bincount(class_of[inside], minlength=len(classes)).tolist()
            counted.append(
                PartCount(
                    fold=fold,
                    part=part,
                    samples=int(inside.sum()),
                    groups=len(set(group_of[inside].tolist()) - {unknown}),
                    classes=dict(zip(classes, of_class, strict=True)),
                )
            )
    return counted


def lacking(counted: Sequence[PartCount]) -> list[str]:
    """Say which parts that hold something hold nothing of a class, a line each."""
    lines = []
    for each in counted:
        without = [name for name, samples in each.classes.items() if not samples]
        if each.samples and without:
            lines.append(f"fold {each.fold}: {each.part} has no sample of {', '.join(without)}")
    return lines


def summary_text(counted: Sequence[PartCount], *, by: str) -> str:
    """Return the counts as a table for a terminal."""
    several = len({each.fold for each in counted}) > 1
    classes = list(counted[0].classes) if counted and len(counted[0].classes) > 1 else []
    unit = [] if by == "sample" else [f"{by}s"]
    rows = [[*(["fold"] if several else []), "part", "samples", *unit, *classes]]
    for each in counted:
        groups = [str(each.groups)] if unit else []
        rows.append(
            [
                *([str(each.fold)] if several else []),
                *(each.part, str(each.samples)),
                *groups,
                *(str(each.classes[name]) for name in classes),
            ]
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
