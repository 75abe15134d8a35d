"""Resolution options: microns per pixel of slides that record none, or a wrong number."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_slide_mpp_option(sub: argparse.ArgumentParser) -> None:
    """Add ``--slide-mpp``, the level-0 resolution of slides that record none."""
    sub.add_argument("--slide-mpp", type=float, help="level-0 microns per pixel of slides that record none")


def add_mpp_csv_option(sub: argparse.ArgumentParser) -> None:
    """Add ``--mpp-csv``, a table of the level-0 resolution of single slides."""
    table = "table of the level-0 microns per pixel of single slides, whatever they record"
    sub.add_argument("--mpp-csv", type=Path, metavar="CSV", help=table)
