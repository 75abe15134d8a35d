"""``pathdata probe``: how well a small model tells the labels of slides from their features.

A command of ``pathdata`` that lives here: it trains a model, and `data_tools` knows none.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.splits.make import Plan
from pathplugins.data_tools.commands.options import read_options

if TYPE_CHECKING:
    from pathplugins.classify.probe.cross_validate import Recipe
    from pathplugins.classify.probe.study import Study


@dataclass(frozen=True, kw_only=True)
class ProbeOptions:
    """Bags, labels, the probe and the folds."""

    bags: Path
    labels: Path
    out: Path
    method: Literal["mean", "abmil", "acmil"]
    by: Literal["patient", "slide"]
    folds: int
    valid: float
    seed: int
    control: bool
    epochs: int
    rows: int
    device: str
    slide_column: str | None = None
    label_column: str | None = None
    group_column: str | None = None
    group_pattern: str | None = None
    on_missing: Literal["error", "skip"] = "error"
    on_rare: Literal["error", "allow"] = "error"

    def __post_init__(self) -> None:
        if self.folds < 2:
            raise PathPluginsError(f"--folds is {self.folds}; a probe is tested on other slides: give 2 or more")
        if not self.valid > 0:
            raise PathPluginsError(
                f"--valid is {self.valid:g}; training is stopped by slides of its own, never by those it is tested on: "
                "give a share such as 0.15"
            )

    def plan(self) -> Plan:
        """Return the folds and shares.

        Raises:
            PathPluginsError: they do not go together.
        """
        return Plan(folds=self.folds, valid=self.valid, seed=self.seed)

    def recipe(self) -> Recipe:
        """Return how the probe is trained.

        Raises:
            PathPluginsError: no epochs or rows, or no such device.
        """
        from pathplugins.classify.probe.cross_validate import Recipe
        from pathplugins.encoders.encoder import torch_device

        device = "cpu" if self.method == "mean" else torch_device(self.device)
        return Recipe(method=self.method, epochs=self.epochs, rows=self.rows, seed=self.seed, device=device)


def add_options(sub: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    sub.add_argument("bags", type=Path, metavar="BAGS", help="folder of feature bags of one encoder")
    sub.add_argument("labels", type=Path, metavar="LABELS", help="table (.csv, .tsv) with a slide and its label a row")
    sub.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the folds, scores, predictions")
    sub.add_argument(
        "--method",
        choices=("mean", "abmil", "acmil"),
        default="abmil",
        help="mean: logistic regression on the mean of each bag; abmil: gated attention; acmil: five branches of it, "
        "with masking, that are to look at different patches (default %(default)s)",
    )
    sub.add_argument(
        "--folds", type=int, default=5, metavar="K", help="each slide is tested once (default %(default)s)"
    )
    sub.add_argument(
        "--by", choices=("patient", "slide"), default="patient", help="what is never divided (default %(default)s)"
    )
    sub.add_argument("--slide-column", metavar="NAME", help="column of the slide (default: slide_id, slide, wsi ...)")
    sub.add_argument(
        "--label-column", metavar="NAME", help="column of the label (default: label, class, diagnosis ...)"
    )
    sub.add_argument("--group-column", metavar="NAME", help="column of the patient (default: TCGA barcodes of slides)")
    sub.add_argument("--group-pattern", metavar="REGEX", help="finds the patient in the id of the slide, in one group")
    sub.add_argument(
        "--valid",
        type=float,
        default=0.15,
        metavar="SHARE",
        help="share of all slides, out of those to train on, that says when to stop (default %(default)s)",
    )
    sub.add_argument("--seed", type=int, default=0, help="of folds, starts and draws (default %(default)s)")
    sub.add_argument(
        "--no-control",
        dest="control",
        action="store_false",
        help="leave out the same probe on permuted labels, which shows chance and costs as much again",
    )
    sub.add_argument(
        "--epochs", type=int, default=30, help="at most; abmil and acmil stop earlier (default %(default)s)"
    )
    sub.add_argument(
        "--rows",
        type=int,
        default=512,
        metavar="N",
        help="most patches of a bag in a step of training, drawn anew each time; all are tested (default %(default)s)",
    )
    sub.add_argument("--device", default="auto", metavar="NAME", help="cpu, cuda, cuda:1 ...; auto: a GPU if any")
    sub.add_argument(
        "--on-missing",
        choices=("error", "skip"),
        default="error",
        help="what to do about labels without a bag, bags without a label, faulty bags and the like (default "
        "%(default)s)",
    )
    sub.add_argument(
        "--on-rare",
        choices=("error", "allow"),
        default="error",
        help="what to do where a class has too few patients to be in every part (default %(default)s)",
    )


def run(args: argparse.Namespace) -> int:
    """Check bags and labels, run all folds, write and print the scores; returns the exit code."""
    from pathplugins.classify.probe.bag_rows import BagRows
    from pathplugins.classify.probe.cross_validate import cross_validate, open_out
    from pathplugins.classify.probe.report import report_of, table_text, write_report
    from pathplugins.classify.probe.study import permuted, study_of
    from pathplugins.commands.probe_bags import joined_bags
    from pathplugins.data_tools.engine.progress import FAILED, say
    from pathplugins.data_tools.splits.report import counts_text
    from pathplugins.data_tools.splits.row_groups import GroupRule

    options = read_options(args, ProbeOptions)
    plan, recipe = options.plan(), options.recipe()
    rule = GroupRule(by=options.by, column=options.group_column, pattern=options.group_pattern)
    columns = {"slide_column": options.slide_column, "label_column": options.label_column}
    found = joined_bags(options.bags, options.labels, rule, folds=options.folds, **columns)
    if said := found.refusal(options.on_missing):
        say(said)
        return FAILED
    slides = found.joined.slides
    names, bags, labels = zip(*((each.slide_id, each.bag, each.label.label) for each in slides), strict=True)
    study = study_of(names, bags, found.groups, labels, plan)
    say(counts_text(study.parts, study.groups, study.names(), by=options.by, on_rare=options.on_rare))
    for note in found.notes():
        say(f"warning: {note}")
    _need_for(study)
    record = {**recipe.record(), "by": options.by, "folds": options.folds, "valid": options.valid}
    open_out(options.out, {**record, "labels and bags": study.fingerprint()})
    rows = BagRows(study.bags, most=recipe.rows)
    moments = rows.moments()
    studies = {"": study, **({"permuted": permuted(study, plan)} if options.control else {})}
    results: dict[str, Any] = {
        name: cross_validate(each, recipe, rows, moments, options.out / "folds" / (name or "labels"), tell=say)
        for name, each in studies.items()
    }
    report = report_of(study, results[""], record, by=options.by)
    if options.control:
        report["permuted"] = report_of(studies["permuted"], results["permuted"], record, by=options.by)
    write_report(options.out, study, results[""], report)
    sys.stdout.write(f"{table_text(report)}\n")
    return 0


def _need_for(study: Study) -> None:
    """Ask for what scores of very many slides need before anything is trained."""
    from pathplugins.classify.scoring.ranking import PLACES
    from pathplugins.core.optional import need

    if len(study.slides) > PLACES:
        need("torchmetrics", extra="patchtcga")
