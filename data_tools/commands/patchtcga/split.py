"""``pathdata patchtcga split``: divide a patch set by slide or patient, or take the published folds by file name."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pathplugins.core.counted import counted
from pathplugins.core.errors import PathPluginsError
from pathplugins.data.splits.split import By

from ...engine.progress import FAILED, say
from ..options import read_options
from ..options.splitting import GroupOptions, PlanOptions, add_group_options, add_plan_options

if TYPE_CHECKING:
    from pathplugins.data.patch_sets import PatchSet

    from ...splits.patch_sets import Divided


_COARSER: dict[By, tuple[By, ...]] = {"sample": ("slide", "patient"), "slide": ("patient",), "patient": ()}
"""What is never divided -> units above it, whose members may lie in several parts."""


@dataclass(frozen=True, kw_only=True)
class PatchSplitOptions:
    """The patch set, and the file that gets the names."""

    source: Path
    out: Path
    kind: str | None = None
    published: Path | None = None
    strict: bool = False
    on_ungrouped: Literal["error", "skip"] = "error"
    on_missing: Literal["error", "skip"] = "error"

    def __post_init__(self) -> None:
        if self.out.suffix != ".json":
            raise PathPluginsError(f"--out {self.out}: give a file that ends in .json; it gets the names")
        if self.out.exists():
            raise PathPluginsError(f"--out {self.out} exists; choose another name, or remove it")


def add_options(sub: argparse.ArgumentParser) -> None:
    """Add the options of the step."""
    sub.add_argument("source", type=Path, metavar="DIR", help="the patch set")
    sub.add_argument("--out", type=Path, required=True, metavar="FILE.json", help="gets the names of each fold's parts")
    sub.add_argument("--kind", help="kind of the patch set (default: found from its folders)")
    add_group_options(sub, column=False)
    add_plan_options(sub)
    sub.add_argument(
        "--on-ungrouped",
        choices=("error", "skip"),
        default="error",
        help="what to do about pictures whose slide or patient is not known (default %(default)s)",
    )
    sub.add_argument(
        "--published",
        type=Path,
        metavar="PICKLE",
        help="take these folds by file name (3fold_dict_idx_filenames.pickle) instead of dividing",
    )
    sub.add_argument(
        "--on-missing",
        choices=("error", "skip"),
        default="error",
        help="what to do about names that only the published folds or only the set have (default %(default)s)",
    )
    sub.add_argument("--strict", action="store_true", help="refuse folds whose parts share slides or patients")


def run(args: argparse.Namespace) -> int:
    """Divide the patch set; returns the exit code."""
    from pathplugins.data.patch_sets import read_patch_set
    from pathplugins.data.splits import read_split, write_split

    from ...splits.patch_sets import divide_patch_set, groups_in, name_published
    from ...splits.report import counts_text, shared_text

    options, group, plan = (read_options(args, kind) for kind in (PatchSplitOptions, GroupOptions, PlanOptions))
    shares = plan.plan()
    published = None if options.published is None else read_split(options.published)
    patch_set: PatchSet = read_patch_set(options.source, options.kind)
    divided: Divided
    if published is not None:
        divided = name_published(patch_set, published, on_missing=options.on_missing)
    else:
        divided = divide_patch_set(
            patch_set, shares, by=group.by, pattern=group.group_pattern, on_ungrouped=options.on_ungrouped
        )
    by = divided.split.by
    rare = "allow" if published is not None else plan.on_rare
    text = counts_text(divided.parts, divided.groups, divided.labels, by=by, on_rare=rare)
    units = _COARSER["sample" if published is not None else by]
    shared = [line for unit in units if (line := shared_text(divided.leaks(groups_in(patch_set, unit)), unit))]
    for line in (text, *shared):
        say(line)
    if shared and options.strict:
        say("nothing was written; divide by patient, or leave --strict out")
        return FAILED
    write_split(options.out, divided.split)
    unknown = divided.groups.count("")
    left = f"; {counted(unknown, 'picture')} of unknown {by}" if unknown else ""
    missing = int((divided.parts < 0).all(axis=0).sum())
    left += f"; {missing} in no part" if missing else ""
    say(f"{options.out}: {counted(len(divided.split.folds), 'fold')} of {counted(len(patch_set), 'picture')}{left}")
    return 0
