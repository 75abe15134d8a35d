"""``pathdata table``: join the labels of slides with their bags to training tables."""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pathplugins.core.counted import counted
from pathplugins.core.errors import BadSamplesError, PathPluginsError
from pathplugins.data.records import IMAGE_PLACEHOLDER

from ..engine.progress import FAILED, say
from .options import read_options
from .options.splitting import PlanOptions, add_plan_options

if TYPE_CHECKING:
    from ..tables.bags_of_labels import Join


@dataclass(frozen=True, kw_only=True)
class TableOptions:
    """Labels, bags, what is asked, and how the slides are divided."""

    labels: Path
    bags: Path
    out: Path
    question: str
    choices: str
    split: Literal["patient", "slide", "none"]
    name: str | None = None
    slide_column: str | None = None
    label_column: str | None = None
    group_column: str | None = None
    group_pattern: str | None = None
    on_missing: Literal["error", "skip"] = "error"

    def __post_init__(self) -> None:
        if not self.question.strip():
            raise PathPluginsError("--question is empty; give what is asked of every slide")
        if IMAGE_PLACEHOLDER in self.question:
            raise PathPluginsError(f"--question has {IMAGE_PLACEHOLDER}, which training adds itself; leave it out")
        if self.split == "none" and (self.group_column or self.group_pattern):
            raise PathPluginsError("--split none divides nothing; leave --group-column and --group-pattern out")

    def unit(self) -> Literal["patient", "slide"]:
        """Return what is counted: patients, or slides where nothing is divided."""
        return "slide" if self.split == "none" else self.split

    def data_set(self) -> str:
        """Return the name of the data set, by default that of the file of labels."""
        return self.name or re.sub(r"\W+", "_", self.labels.stem)


def add_options(sub: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    sub.add_argument("labels", type=Path, metavar="LABELS", help="table (.csv, .tsv) with a slide and its label a row")
    sub.add_argument("--bags", type=Path, required=True, metavar="DIR", help="folder of feature bags of one encoder")
    sub.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="new folder: train.csv, valid.csv, test.csv"
    )
    sub.add_argument(
        "--question", default="What is the diagnosis?", help="what is asked of every slide (default: %(default)s)"
    )
    sub.add_argument(
        "--choices",
        default="auto",
        metavar="auto|none|A|B|...",
        help="auto: all labels, in an order of its own for each slide; none: an open question; or the choices (default "
        "%(default)s)",
    )
    sub.add_argument(
        "--split",
        choices=("patient", "slide", "none"),
        default="patient",
        help="what is never divided over train, valid and test; none writes train alone (default %(default)s)",
    )
    sub.add_argument("--name", help="name of the data set in dataset_info.json (default: that of LABELS)")
    sub.add_argument("--slide-column", metavar="NAME", help="column of the slide (default: slide_id, slide, wsi ...)")
    sub.add_argument(
        "--label-column", metavar="NAME", help="column of the label (default: label, class, diagnosis ...)"
    )
    sub.add_argument("--group-column", metavar="NAME", help="column of the patient (default: TCGA barcodes of slides)")
    sub.add_argument("--group-pattern", metavar="REGEX", help="finds the patient in the id of the slide, in one group")
    add_plan_options(sub)
    sub.add_argument(
        "--on-missing",
        choices=("error", "skip"),
        default="error",
        help="what to do about labels without a bag, bags without a label, slides without a patient and the like "
        "(default %(default)s)",
    )


def run(args: argparse.Namespace) -> int:
    """Join labels and bags, divide the slides and write the tables; returns the exit code."""
    from pathplugins.core.files import refuse_nonempty
    from pathplugins.data.splits.make import Plan

    from ..splits.divide_rows import assign_apart, leaks_of
    from ..splits.report import counts_text, shared_text
    from ..splits.row_groups import GroupRule
    from ..tables.bags_of_labels import check_bags
    from ..tables.choices import choices_of
    from ..tables.patients import group_slides, patients_of
    from ..tables.write import Wording, write_tables

    options, plan = read_options(args, TableOptions), read_options(args, PlanOptions)
    plan.plan()
    refuse_nonempty(options.out)
    joined = _joined(options)
    notes = [*joined.notes, *check_bags(joined)]
    rule = GroupRule(by=options.unit(), column=options.group_column, pattern=options.group_pattern)
    groups = group_slides(joined, rule)
    if joined.faults:
        say(joined.report())
        if options.on_missing == "error" or not joined.slides:
            skip = ", or pass --on-missing skip to leave them out" if joined.slides else "; no slide is left"
            say(f"nothing was written; correct these{skip}")
            return FAILED
    labels = [slide.label.label for slide in joined.slides]
    wording = Wording(
        question=options.question.strip(),
        choices=choices_of(options.choices, labels),
        name=options.data_set(),
        seed=plan.seed,
    )
    shares = plan.plan() if options.split != "none" else Plan(valid=0, test=0)
    parts = assign_apart(groups, labels, shares, [(group,) for group in groups])
    text = counts_text(parts, groups, labels, by=options.unit(), on_rare=plan.on_rare)
    try:
        names = write_tables(joined.slides, parts, wording, options.out)
    except BadSamplesError as error:
        say(str(error))
        return FAILED
    shared = shared_text(leaks_of(parts, patients_of(joined)), "patient", option="--split") if len(names) > 1 else ""
    for line in filter(None, (text, shared, *(f"warning: {note}" for note in notes))):
        say(line)
    left = sum(map(len, joined.faults.values()))
    say(
        f"{options.out}: {counted(len(joined.slides), 'slide')}, {counted(len(set(labels)), 'label')}"
        + (f"; {counted(left, 'fault')} left out" if left else "")
    )
    say(f"in a YAML: dataset_dir: {options.out}, dataset: {names[0]}")
    return 0


def _joined(options: TableOptions) -> Join:
    from ..tables.bags_of_labels import find_bags, join_bags
    from ..tables.labels import read_labels

    table = read_labels(options.labels, slide_column=options.slide_column, label_column=options.label_column)
    sources, unreadable = find_bags(options.bags)
    joined = join_bags(table.rows, sources)
    if table.bad:
        joined.faults["rows without slide or label"] = [f"{bad.source}:{bad.row}: {bad.detail}" for bad in table.bad]
    if unreadable:
        joined.faults["bags that cannot be read"] = unreadable
    return joined
