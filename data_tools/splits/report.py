"""What a command says about a split: its counts, classes that parts lack, and units that parts share all the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.records import first_shown
from pathplugins.data.splits.leaks import Leak
from pathplugins.data.splits.summary import count_parts, lacking, summary_text


def counts_text(
    parts: np.ndarray, groups: Sequence[str], labels: Sequence[str], *, by: str, on_rare: Literal["error", "allow"]
) -> str:
    """Return the table of counts, and below it what parts lack.

    Args:
        parts: [folds, N], numbers of ``PARTS``.
        groups: Group of each sample.
        labels: Class of each sample.
        by: What the groups are.
        on_rare: ``error`` refuses parts that lack a class.

    Raises:
        PathPluginsError: a part lacks a class, and that is not allowed.
    """
    counted = count_parts(parts, groups, labels)
    lacks = lacking(counted)
    if lacks and on_rare == "error":
        raise PathPluginsError(
            f"classes have too few {by}s for every part, nothing was written:\n{first_shown(lacks)}\n"
            "give fewer folds or larger shares, join rare classes, or pass --on-rare allow"
        )
    return "\n".join([summary_text(counted, by=by), *(f"warning: {line}" for line in lacks)])


def shared_text(leaks: Sequence[Leak], unit: str, *, option: str = "--by") -> str:
    """Return a warning that parts share slides or patients, and the option against it; empty if they share none."""
    if not leaks:
        return ""
    lines = [f"  {leak}" for leak in leaks]
    return "\n".join([f"warning: parts share {unit}s; to keep them apart pass {option} {unit}", *lines])
