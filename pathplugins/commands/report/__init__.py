"""``pathplugins report``: what `evaluate` and `ablate` found, as one page that opens without a network."""

from __future__ import annotations

import argparse
from pathlib import Path

from pathplugins.commands.lines import say
from pathplugins.commands.report.comparison import compared
from pathplugins.commands.report.html import page
from pathplugins.commands.report.results import Ablation, Run, read_results
from pathplugins.commands.report.training import read_training
from pathplugins.commands.report.worst import worst_cases
from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import write_text_whole

CASES = 24


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("results", type=Path, nargs="+", metavar="RESULTS", help="--out of evaluate or ablate")
    parser.add_argument(
        "--training",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="output_dir of LLaMA-Factory or work_dir of XTuner, for the curves of its losses; repeatable",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the page, report.html")
    parser.add_argument(
        "--cases", type=int, default=CASES, metavar="N", help="wrong answers with their pictures; default %(default)s"
    )


def run(args: argparse.Namespace) -> int:
    """Read the results, compare runs over the same questions, write the page."""
    if args.cases < 0:
        raise PathPluginsError(f"--cases is {args.cases}, expected 0 or more")
    if args.out.is_dir() or args.out.suffix.lower() not in (".html", ".htm"):
        raise PathPluginsError(f"--out {args.out}: expected the name of a page, such as report.html")
    found = [read_results(folder) for folder in dict.fromkeys(args.results)]
    runs = [each for each in found if isinstance(each, Run)]
    ablations = [each for each in found if isinstance(each, Ablation)]
    shown = runs or [each.real for each in ablations]
    trainings = [read_training(folder) for folder in dict.fromkeys(args.training)]
    text = page(runs, ablations, compared(runs), worst_cases(shown, args.cases), shown, trainings)
    write_text_whole(args.out, text)
    say(f"{args.out} ({len(text.encode()) / 1000:,.0f} kB)")
    return 0
