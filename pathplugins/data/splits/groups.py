"""Groups: which slide or patient a sample is of, by a function of its name such as a pattern."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from pathplugins.core.errors import PathPluginsError

GroupOf = Callable[[str], str | None]
"""Name of a sample -> its group; None where the name does not tell."""

SHOWN = 5  #: names that a message lists


def pattern_group(pattern: str) -> GroupOf:
    r"""Return the function that finds the group of a name by a regular expression with one group.

    Raises:
        PathPluginsError: not a regular expression, or not with one group.
    """
    advice = r"give one group in round brackets, such as '^(\w+)_\d+'"
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise PathPluginsError(f"group pattern {pattern!r} is no regular expression ({error}); {advice}") from error
    if expression.groups != 1:
        raise PathPluginsError(f"group pattern {pattern!r} has {expression.groups} groups; {advice}")

    def group_of(name: str) -> str | None:
        match = expression.search(name)
        return (match[1] or None) if match else None

    return group_of


def groups_of(names: Sequence[str], group_of: GroupOf) -> list[str]:
    """Return the group of every name, in their order.

    Raises:
        PathPluginsError: some have none; says how many, and which.
    """
    found = [group_of(name) for name in names]
    lost = [name for name, group in zip(names, found, strict=True) if group is None]
    if lost:
        raise PathPluginsError(
            f"{len(lost)} of {len(names)} names do not tell their group: {some(lost)}; expected TCGA barcodes, or a "
            "function (a column, a pattern) that knows them"
        )
    return [group for group in found if group is not None]


def coded(values: Sequence[str]) -> tuple[list[str], np.ndarray]:
    """Return the distinct values, sorted, and the number of each among them, int64 [N]."""
    distinct = sorted(set(values))
    number = {value: at for at, value in enumerate(distinct)}
    return distinct, np.fromiter((number[value] for value in values), np.int64, len(values))


def some(names: Iterable[str]) -> str:
    """Return a few of many names for a message, and how many more there are."""
    names = list(names)
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
