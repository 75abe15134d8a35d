"""``pathdata split``: divide a table, JSON samples or a folder of bags into train, valid and test."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pathplugins.core.counted import counted
from pathplugins.core.errors import BadSamplesError, PathPluginsError

from ..engine.progress import FAILED, say
from .options import read_options
from .options.splitting import GroupOptions, PlanOptions, add_group_options, add_plan_options

if TYPE_CHECKING:
    from ..splits.row_groups import GroupRule


@dataclass(frozen=True, kw_only=True)
class SplitOptions:
    """What is divided, and where the parts go."""

    sources: list[Path]
    out: Path | None = None
    check: bool = False
    label_column: str | None = None
    on_ungrouped: Literal["error", "skip"] = "error"

    def __post_init__(self) -> None:
        if self.check and self.out is not None:
            raise PathPluginsError("--check writes nothing; leave --out out")
        if not self.check and self.out is None:
            raise PathPluginsError("--out is missing: give a new folder for the parts, or folds.json for bags")
        if not self.check and len(self.sources) > 1:
            raise PathPluginsError(
                f"{len(self.sources)} sources given; divide one at a time, or compare files with --check"
            )


def add_options(sub: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    sub.add_argument(
        "sources",
        nargs="+",
        type=Path,
        metavar="IN",
        help="a table (.csv, .tsv), samples (.json, .jsonl), a folder of bags, or of tasks ({task}_train.json, "
        "{task}_test.json, as WSI-Bench's); with --check, the parts to compare",
    )
    sub.add_argument(
        "--out",
        type=Path,
        metavar="PATH",
        help="new folder: gets train, valid and test in the format of IN, in fold_0 and so on for several folds; of a "
        "folder of bags, a JSON file of their names; of a folder of tasks, its files without what leaks",
    )
    add_group_options(sub, column=True)
    add_plan_options(sub)
    sub.add_argument(
        "--label-column", metavar="NAME", help="column of the class (default: label, class, diagnosis ...)"
    )
    sub.add_argument(
        "--on-ungrouped",
        choices=("error", "skip"),
        default="error",
        help="what to do about samples whose slide or patient is not known (default %(default)s)",
    )
    sub.add_argument(
        "--check", action="store_true", help="only report the slides or patients that files, or parts of a split, share"
    )


def run(args: argparse.Namespace) -> int:
    """Divide the samples; returns the exit code."""
    from ..splits.row_groups import GroupRule
    from ..splits.task_folder import is_task_folder

    options, group, plan = (read_options(args, kind) for kind in (SplitOptions, GroupOptions, PlanOptions))
    rule = GroupRule(by=group.by, column=group.group_column, pattern=group.group_pattern)
    try:
        if options.check:
            return _check(options, rule)
        if is_task_folder(options.sources[0]):
            return _divide_tasks(options, rule, plan)
        if options.sources[0].is_dir():
            return _divide_bags(options, rule, plan)
        return _divide_rows(options, rule, plan)
    except BadSamplesError as error:
        say(str(error))
        return FAILED


def _divide_rows(options: SplitOptions, rule: GroupRule, plan: PlanOptions) -> int:
    from pathplugins.core.files import refuse_nonempty

    from ..splits.divide_rows import assign_apart, leaks_of, write_parts
    from ..splits.look import COARSER, look_at
    from ..splits.report import counts_text, shared_text
    from ..splits.row_files import open_rows

    out = options.out or Path()
    shares = plan.plan()
    file = open_rows(options.sources[0])
    refuse_nonempty(out)
    looked = look_at(file, rule, on_ungrouped=options.on_ungrouped, label_column=options.label_column, usual_label=True)
    parts = assign_apart(looked.groups, looked.labels, shares, looked.within)
    text = counts_text(parts, looked.groups, looked.labels, by=rule.by, on_rare=plan.on_rare)
    written = write_parts(file, looked.kept, parts, out)
    say(text)
    for note in looked.notes:
        say(f"warning: {note}")
    if (unit := COARSER.get(rule.by)) and (warning := shared_text(leaks_of(parts, looked.coarser), unit)):
        say(warning)
    classes = f"balanced by {looked.label_column}" if looked.label_column else "no column of classes to balance by"
    say(f"{out}: {counted(len(written), 'file')}, {classes}; no {rule.by} is in two parts of a fold")
    return 0


def _divide_bags(options: SplitOptions, rule: GroupRule, plan: PlanOptions) -> int:
    from pathplugins.data.splits import write_split
    from pathplugins.data.splits.groups import some
    from pathplugins.data.splits.make import assign, make_split

    from ..splits.bag_names import bag_names
    from ..splits.report import counts_text

    out, folder = options.out or Path(), options.sources[0]
    if out.suffix != ".json" or out.exists():
        raise PathPluginsError(f"--out {out}: give a new file that ends in .json; it gets the names of the bags")
    if rule.column or options.label_column:
        raise PathPluginsError("a folder of bags has no columns; give --group-pattern, or join a table: pathdata table")
    bags = bag_names(folder, rule)
    lost = [bag.name for bag in bags if bag.group is None]
    if lost and options.on_ungrouped == "error":
        raise PathPluginsError(
            f"{folder}: {len(lost)} of {len(bags)} bags do not tell their {rule.by}: {some(lost)}; give "
            r"--group-pattern '^(\w+)_' with one group, or pass --on-ungrouped skip"
        )
    names = [bag.name for bag in bags if bag.group is not None]
    groups = [bag.group for bag in bags if bag.group is not None]
    labels = [""] * len(names)
    split = make_split(names, groups, labels, plan.plan(), by=rule.by, source=str(folder))
    group_of = dict(zip(names, groups, strict=True))
    if leaks := split.leaks(group_of.__getitem__):
        raise PathPluginsError("nothing was written, parts share groups:\n" + "\n".join(map(str, leaks)))
    text = counts_text(assign(groups, labels, plan.plan()), groups, labels, by=rule.by, on_rare=plan.on_rare)
    write_split(out, split)
    say(text)
    left = f"; left out: {counted(len(lost), 'bag')} without a {rule.by}" if lost else ""
    say(f"{out}: {counted(len(names), 'bag')}{left}; no {rule.by} is in two parts of a fold")
    return 0


def _divide_tasks(options: SplitOptions, rule: GroupRule, plan: PlanOptions) -> int:
    from pathplugins.core.files import refuse_nonempty

    from ..splits.task_folder import MOVED, divide_tasks, leak_lines, read_tasks

    out, folder = options.out or Path(), options.sources[0]
    if plan != PlanOptions() or options.label_column:
        raise PathPluginsError(
            f"{folder} is divided into train and test as published; leave shares, folds, --seed and --label-column out"
        )
    refuse_nonempty(out)
    files = read_tasks(folder, rule, on_ungrouped=options.on_ungrouped)
    for line in leak_lines(files, rule.by):
        say(line)
    moved = divide_tasks(files, out)
    say(
        f"{out}: moved {moved.samples} of {moved.of_samples} training samples, of {moved.groups} of the "
        f"{moved.of_groups} tested {rule.by}s and of {counted(moved.files, 'file')}, to {out / MOVED}; no {rule.by} is "
        "trained on and tested"
    )
    return 0


def _check(options: SplitOptions, rule: GroupRule) -> int:
    from ..splits.check import check_files, check_split
    from ..splits.task_folder import is_task_folder, leak_lines, read_tasks

    one = options.sources[0]
    leaks: list[object]
    if len(options.sources) == 1 and is_task_folder(one):
        leaks = [*leak_lines(read_tasks(one, rule, on_ungrouped=options.on_ungrouped), rule.by)]
    elif len(options.sources) > 1:
        leaks = [*check_files(options.sources, rule, on_ungrouped=options.on_ungrouped)]
    else:
        leaks = [*check_split(one, rule)]
    for leak in leaks:
        say(f"{leak}")
    files = ", ".join(map(str, options.sources))
    if leaks:
        say(f"{files}: parts share {rule.by}s; divide them again with `pathdata split --by {rule.by}`")
        return FAILED
    say(f"{files}: no {rule.by} is in two parts")
    return 0
