"""What checks have found: each by its name, all of them in one report."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from pathplugins.core.errors import PathPluginsError

Check = tuple[str, Callable[[], object]]
"""Its name for people, and what raises `PathPluginsError` where something is wrong."""


class Finding(NamedTuple):
    """The outcome of one check."""

    about: str
    said: str = ""
    """What is wrong; empty where nothing is."""


def findings(checks: Iterable[Check]) -> list[Finding]:
    """Run all checks, also those after one that has found something."""
    found = []
    for about, check in checks:
        try:
            check()
        except PathPluginsError as error:
            found.append(Finding(about, str(error)))
        else:
            found.append(Finding(about))
    return found


def any_wrong(found: Iterable[Finding]) -> bool:
    """Whether a check has found something."""
    return any(finding.said for finding in found)


def report(title: str, found: list[Finding]) -> str:
    """Return the report as lines: a line for what is right, and as many as it takes for what is not."""
    lines = [title]
    for about, said in found:
        lines.append(f"  wrong  {about}: " + said.replace("\n", "\n         ") if said else f"  ok     {about}")
    wrong = sum(bool(finding.said) for finding in found)
    lines.append(f"{wrong} of {len(found)} checks found something wrong" if wrong else "nothing wrong was found")
    return "\n".join(lines)
