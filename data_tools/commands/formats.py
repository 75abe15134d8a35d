"""``pathdata formats``: list the slide formats, what reads each, and what is not read."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass

from pathplugins.core.markdown import markdown_table

from ..slides.readers.table import FORMATS, format_table
from .options import read_options


@dataclass(frozen=True, kw_only=True)
class ListOptions:
    """How the rows are printed."""

    json: bool = False
    markdown: bool = False


def add_options(sub: argparse.ArgumentParser) -> None:
    """Add the options of `ListOptions`."""
    form = sub.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print the rows for programs")
    form.add_argument("--markdown", action="store_true", help="print a table in Markdown, for documents")


def run(args: argparse.Namespace) -> int:
    """Print the rows; returns the exit code."""
    options = read_options(args, ListOptions)
    if options.json:
        sys.stdout.write(json.dumps([asdict(row) for row in FORMATS], indent=2) + "\n")
    elif options.markdown:
        sys.stdout.write(markdown_table(format_table()))
    else:
        for row in FORMATS:
            readers = ", then ".join(row.readers)
            checked = ", ".join(row.checked) or "nothing here"
            sys.stdout.write(
                f"{row.name} ({' '.join(row.suffixes)})\n  read by  {readers}  (extra: {row.extra})\n"
                f"  checked  {checked}\n  limits   {row.limits}\n"
            )
    return 0
