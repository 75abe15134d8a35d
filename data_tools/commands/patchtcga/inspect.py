"""``pathdata patchtcga inspect``: what a data set of labelled patches holds, and every fault in it."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pathplugins.core.errors import PathPluginsError
from pathplugins.published.patchtcga import DATASETS

from ...engine.progress import FAILED, bars
from ..options import read_options

_KINDS = (*DATASETS, "class_folders")
_SAMPLE = 200


@dataclass(frozen=True, kw_only=True)
class InspectOptions:
    """The data set to inspect, and how many of its pictures to read."""

    folder: Path
    kind: str | None = None
    pictures: int = _SAMPLE
    thorough: bool = False
    json: bool = False

    def __post_init__(self) -> None:
        if self.pictures < 0:
            raise PathPluginsError(f"--pictures must be 0 or more, got {self.pictures}")


def add_options(sub: argparse.ArgumentParser) -> None:
    """Add the options of the step."""
    sub.add_argument("folder", type=Path, metavar="DIR", help="the data set, e.g. datasets/PTCGA200")
    sub.add_argument("--kind", choices=_KINDS, help="its layout (default: by its name, else by what lies in it)")
    sub.add_argument(
        "--pictures",
        type=int,
        default=_SAMPLE,
        metavar="N",
        help="read N pictures, evenly spread, with their masks (default %(default)s)",
    )
    sub.add_argument("--thorough", action="store_true", help="read every picture and mask")
    sub.add_argument("--json", action="store_true", help="print a list with one report as JSON")


def run(args: argparse.Namespace) -> int:
    """Print a report; returns the exit code."""
    from ...patchtcga.describe import describe

    options = read_options(args, InspectOptions)
    with bars() as bar:
        task = bar.add_task("read", total=None, unit="pictures")
        report = describe(
            options.folder,
            options.kind,
            pictures=None if options.thorough else options.pictures,
            tell=lambda done, total: bar.update(task, completed=done, total=total),
        )
    if options.json:
        sys.stdout.write(json.dumps([asdict(report)], indent=1) + "\n")
    else:
        lines = [f"{report.path}: {report.what}"]
        lines += [f"  {name}: {_shown(value)}" for name, value in report.facts.items()]
        lines += [f"  note: {note}" for note in report.notes]
        lines += [f"  WRONG: {finding}" for finding in report.wrong] or ["  nothing wrong found"]
        sys.stdout.write("\n".join(lines) + "\n")
    if report.wrong:
        sys.stderr.write(f"{len(report.wrong)} faults: correct these files, or leave them out\n")
    return FAILED if report.wrong else 0


def _shown(value: Any) -> str:
    """Return a fact for people: counts one after the other."""
    return ", ".join(f"{count} {name}" for name, count in value.items()) if isinstance(value, dict) else str(value)
