"""Labelled bags to probe: everything that is wrong with them in one report, before anything is trained."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pathplugins.core.counted import counted
from pathplugins.core.errors import PathPluginsError
from pathplugins.data.bags import BagInfo, check_bag
from pathplugins.data.bags.magnifications import magnifications_text
from pathplugins.data.records import first_shown
from pathplugins.data_tools.splits.row_groups import GroupRule
from pathplugins.data_tools.tables.bags_of_labels import Join, find_bags, join_bags
from pathplugins.data_tools.tables.labels import read_labels
from pathplugins.data_tools.tables.patients import group_slides
from pathplugins.published.encoder_names import encoder_key


@dataclass(kw_only=True)
class Found:
    """Labelled bags that can be read, their groups, and the faults of the others."""

    joined: Join
    groups: list[str]
    """Of each slide in ``joined``."""
    magnifications: str = ""
    stops: list[str] = field(default_factory=list)
    """What no leaving out of slides mends."""

    def notes(self) -> list[str]:
        """Return what to know beside the faults."""
        left = sum(map(len, self.joined.faults.values()))
        return [
            *self.joined.notes,
            *filter(None, [self.magnifications, f"{counted(left, 'fault')} left out" if left else ""]),
        ]

    def refusal(self, on_missing: Literal["error", "skip"]) -> str:
        """Return the report that ends the command; empty where nothing is wrong, or what is wrong may be left out."""
        if not self.stops and (not self.joined.faults or on_missing == "skip"):
            return ""
        mend = "correct these" + (", or pass --on-missing skip to leave them out" if not self.stops else "")
        return "\n".join([*filter(None, [self.joined.report()]), *self.stops, f"nothing was trained; {mend}"])


def joined_bags(
    bags: Path, labels: Path, rule: GroupRule, *, folds: int, slide_column: str | None, label_column: str | None
) -> Found:
    """Join labels with bags, read every bag once, and find the group of every slide.

    Args:
        bags: Folder of bags.
        labels: Table of labels.
        rule: How groups are found.
        folds: As many groups are needed at least.
        slide_column: Column of the slides; None takes a usual name.
        label_column: Column of the labels; None takes a usual name.

    Raises:
        PathPluginsError: no labels or no bags at all, or no such column.
    """
    table = read_labels(labels, slide_column=slide_column, label_column=label_column)
    sources, unreadable = find_bags(bags)
    joined = join_bags(table.rows, sources)
    if table.bad:
        joined.faults["rows without slide or label"] = [f"{bad.source}:{bad.row}: {bad.detail}" for bad in table.bad]
    infos, faulty = _checked(joined)
    if unreadable or faulty:
        joined.faults["bags that cannot be read"] = [*unreadable, *faulty]
    stops = _several(infos)
    groups = group_slides(joined, rule)
    found = Found(
        joined=joined,
        groups=groups,
        magnifications=magnifications_text({path: info.mpp for path, info in infos.items()}) or "",
        stops=stops,
    )
    classes = sorted({slide.label.label for slide in joined.slides})
    if not joined.slides:
        found.stops.append("no slide is left with a label and a bag")
    elif len(classes) < 2:
        found.stops.append(f"all {len(joined.slides)} slides are {classes[0]!r}; a probe needs two classes or more")
    if joined.slides and (number := len({*groups})) < folds:
        found.stops.append(f"{counted(number, rule.by)} cannot fill {folds} folds; pass a smaller --folds")
    return found


def _checked(joined: Join) -> tuple[dict[str, BagInfo], list[str]]:
    """Read every bag whole; those with a fault leave ``joined``. Returns facts by path, and the faults."""
    infos, faulty, good = {}, [], []
    for slide in joined.slides:
        try:
            infos[str(slide.bag)] = check_bag(slide.bag, positions=False)
            good.append(slide)
        except PathPluginsError as error:
            faulty.append(str(error))
    joined.slides = good
    return infos, faulty


def _several(infos: dict[str, BagInfo]) -> list[str]:
    """Say which widths or encoders the bags have, where they have several, which no model reads together."""
    widths, encoders = defaultdict(list), defaultdict(list)
    for path, info in infos.items():
        widths[f"{info.width} features"].append(path)
        if info.encoder is not None:
            encoders[encoder_key(info.encoder)].append(path)
    said = []
    for what, alike in (("widths", widths), ("encoders", encoders)):
        if len(alike) > 1:
            lines = [f"{counted(len(paths), 'bag')} of {kind}, such as {paths[0]}" for kind, paths in alike.items()]
            said.append(f"bags are of several {what}; give a folder of one encoder:\n{first_shown(lines)}")
    return said
