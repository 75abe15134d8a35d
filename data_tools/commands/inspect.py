"""``pathdata inspect``: say what feature and patch files are, in whose convention, and whether they are sane."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pathplugins.core.errors import PathPluginsError

from ..engine.progress import FAILED
from .options import read_options

if TYPE_CHECKING:
    from ..bags.findings import Report


@dataclass(frozen=True, kw_only=True)
class InspectOptions:
    """The files to inspect, and what is known about them but not recorded."""

    files: list[Path]
    coords_mpp: float | None = None
    width: int | None = None
    json: bool = False


def add_options(sub: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    sub.add_argument("files", nargs="+", type=Path, metavar="FILE", help="bags, features, patch files, or folders")
    sub.add_argument(
        "--coords-mpp",
        type=float,
        metavar="MPP",
        help="microns per stored pixel of bags that record none, as in a trainer's configuration",
    )
    sub.add_argument("--width", type=int, metavar="D", help="features must be this wide")
    sub.add_argument("--json", action="store_true", help="print a list of reports as JSON")


def run(args: argparse.Namespace) -> int:
    """Print a report of every file; returns the exit code."""
    from ..bags.findings import reports_of

    options = read_options(args, InspectOptions)
    reports: list[Report] = []
    for path in _files(options.files):
        for report in reports_of(path, coords_mpp=options.coords_mpp, width=options.width):
            reports.append(report)
            if not options.json:
                sys.stdout.write(_text(report))
    if options.json:
        sys.stdout.write(json.dumps([asdict(report) for report in reports], indent=1) + "\n")
    wrong = sum(bool(report.wrong) for report in reports)
    if wrong:
        sys.stderr.write(f"something is wrong with {wrong} of {len(reports)}\n")
    return FAILED if wrong else 0


def _files(paths: list[Path]) -> list[Path]:
    """Return the files among ``paths`` and below its folders."""
    from ..bags.kinds import SUFFIXES

    files: list[Path] = []
    for path in paths:
        inside = sorted(p for p in path.rglob("*") if p.suffix in SUFFIXES and not p.name.startswith("."))
        if path.is_dir() and not inside:
            raise PathPluginsError(f"{path}: no {', '.join(SUFFIXES)} file in this folder; name the folder of the bags")
        files += inside if path.is_dir() else [path]
    return files


def _text(report: Report) -> str:
    lines = [f"{report.path}: {report.what}"]
    lines += [f"  {name.replace('_', ' ')}: {_shown(value)}" for name, value in report.facts.items()]
    lines += [f"  note: {note}" for note in report.notes]
    lines += [f"  WRONG: {finding}" for finding in report.wrong] or ["  nothing wrong found"]
    return "\n".join(lines) + "\n"


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return " x ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
