"""Options of commands that divide samples: folds, shares, seed, and how groups are found."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Literal

from pathplugins.data.splits.make import Plan
from pathplugins.data.splits.split import By


@dataclass(frozen=True, kw_only=True)
class PlanOptions:
    """How samples are divided."""

    folds: int = 1
    valid: float | None = None
    test: float | None = None
    seed: int = 0
    on_rare: Literal["error", "allow"] = "error"

    def plan(self) -> Plan:
        """Return the folds and shares.

        Raises:
            PathPluginsError: they do not go together.
        """
        return Plan(folds=self.folds, valid=self.valid, test=self.test, seed=self.seed)


@dataclass(frozen=True, kw_only=True)
class GroupOptions:
    """What is never divided, and how it is found."""

    by: By
    group_column: str | None = None
    group_pattern: str | None = None


def add_plan_options(sub: argparse.ArgumentParser) -> None:
    """Add the options of `PlanOptions`."""
    sub.add_argument(
        "--folds",
        type=int,
        default=1,
        metavar="K",
        help="divide K times, each time with another test part; without --test each sample is tested once (default 1)",
    )
    sub.add_argument(
        "--valid",
        type=float,
        metavar="SHARE",
        help="share of all samples to validate on (default: 0.1; of several folds, the test part of the next)",
    )
    sub.add_argument(
        "--test", type=float, metavar="SHARE", help="share of all samples to test on (default: 0.2; of K folds, 1 / K)"
    )
    sub.add_argument("--seed", type=int, default=0, help="draws the parts (default %(default)s)")
    sub.add_argument(
        "--on-rare",
        choices=("error", "allow"),
        default="error",
        help="what to do where a class has too few groups to be in every part (default %(default)s)",
    )


def add_group_options(sub: argparse.ArgumentParser, *, column: bool) -> None:
    """Add the options of `GroupOptions`, ``--group-column`` only for rows, which have columns."""
    sub.add_argument(
        "--by",
        choices=("slide", "patient", "sample"),
        default="patient",
        help="what is never divided over two parts (default %(default)s)",
    )
    if column:
        sub.add_argument("--group-column", metavar="NAME", help="column, or JSON key, that holds the slide or patient")
    else:
        sub.set_defaults(group_column=None)
    sub.add_argument(
        "--group-pattern",
        metavar="REGEX",
        help=r"regular expression with one group that finds the slide or patient, such as '^(\w+)_\d+' (default: TCGA "
        "barcodes)",
    )
