"""``pathdata encoders``: list the patch encoders that have a preset."""

from __future__ import annotations

import argparse
import sys

from ..encoders import encoder_table


def add_options(sub: argparse.ArgumentParser) -> None:
    """Nothing."""


def run(args: argparse.Namespace) -> int:
    """Do it; returns the exit code."""
    rows = encoder_table()
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        sys.stdout.write("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() + "\n")
    sys.stdout.write("and any model name of timm, or a folder downloaded from the Hugging Face hub\n")
    return 0
