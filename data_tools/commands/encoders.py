"""``pathdata encoders``: list the patch encoders, or the CLIP checkpoints, that have a published row."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from dataclasses import dataclass

from pathplugins.core.markdown import markdown_table

from ..clip.tables import clip_lines, clip_overview, clip_records
from ..encoders.tables import encoder_overview, encoder_records, encoder_table
from .options import read_options

FOOTER = (
    "and any model name of timm, an hf-hub: id, or a folder downloaded from the Hugging Face hub\n"
    "precision is that of a GPU, float32 on a CPU; --json tells where the numbers of a row were read\n"
)


@dataclass(frozen=True, kw_only=True)
class ListOptions:
    """Which rows are printed, and how."""

    clip: bool = False
    """CLIP checkpoints instead of patch encoders."""
    json: bool = False
    markdown: bool = False


def add_options(sub: argparse.ArgumentParser) -> None:
    """Add the options of `ListOptions`."""
    sub.add_argument("--clip", action="store_true", help="list the CLIP checkpoints of --clip-arch instead")
    form = sub.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print all that is known of each, for programs")
    form.add_argument("--markdown", action="store_true", help="print a table in Markdown, for documents")


def run(args: argparse.Namespace) -> int:
    """Print the rows; returns the exit code."""
    options = read_options(args, ListOptions)
    if options.json:
        records = clip_records() if options.clip else encoder_records()
        sys.stdout.write(json.dumps(records, indent=2, default=str) + "\n")
    elif options.markdown:
        sys.stdout.write(markdown_table(clip_overview() if options.clip else encoder_overview()))
    elif options.clip:
        sys.stdout.write("\n\n".join(clip_lines()) + "\n")
    else:
        columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        sys.stdout.write("\n".join(lines(encoder_table(), columns)) + "\n" + FOOTER)
    return 0


def lines(rows: list[tuple[str, ...]], columns: int | None) -> list[str]:
    """Return the table as lines of text.

    Args:
        rows: cells, the heading first.
        columns: width of the terminal; where a row does not fit, its last cell stands on a line below it. None: fits.
    """
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    fits = columns is None or sum(widths) + 2 * (len(widths) - 1) <= columns
    text = []
    for row in rows:
        *first, last = (f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        text += ["  ".join([*first, last]).rstrip()] if fits else ["  ".join(first).rstrip(), f"    {last}".rstrip()]
    return text
