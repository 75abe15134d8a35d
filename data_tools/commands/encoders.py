"""``pathdata encoders``: list the patch encoders that have a preset."""

from __future__ import annotations

import argparse
import json
import shutil
import sys

from ..encoders.tables import encoder_records, encoder_table


def add_options(sub: argparse.ArgumentParser) -> None:
    """What it takes."""
    sub.add_argument("--json", action="store_true", help="all that is known of each, for programs")


def run(args: argparse.Namespace) -> int:
    """Do it; returns the exit code."""
    if args.json:
        sys.stdout.write(json.dumps(encoder_records(), indent=2, default=str) + "\n")
        return 0
    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for line in lines(encoder_table(), columns):
        sys.stdout.write(line + "\n")
    sys.stdout.write(
        "and any model name of timm, an hf-hub: id, or a folder downloaded from the Hugging Face hub\n"
        "precision is that of a GPU, float32 on a CPU; --json tells where the numbers of a row were read\n"
    )
    return 0


def lines(rows: list[tuple[str, ...]], columns: int | None) -> list[str]:
    """The table as text: one line a row, or the last cell below its row where ``columns`` are too few for both."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    fits = columns is None or sum(widths) + 2 * (len(widths) - 1) <= columns
    text = []
    for row in rows:
        *first, last = (f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        text += ["  ".join([*first, last]).rstrip()] if fits else ["  ".join(first).rstrip(), f"    {last}".rstrip()]
    return text
