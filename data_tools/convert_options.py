"""Options of ``pathdata convert``, apart from the conversion so that other commands need not load it."""

from __future__ import annotations

import argparse
from pathlib import Path

from pathplugins.data.formats import FORMATS
from pathplugins.data.images import MAX_PIXELS

READER_OPTIONS = ("seed", "ids", "min_words", "split", "subset", "modality", "mode", "labels")
"""Handed to the reader of the format; each format has some of them."""


def add_convert_options(sub: argparse.ArgumentParser) -> None:
    """Add them to the parser of the command."""
    names = ", ".join(name.replace("_", "-") for name in FORMATS)
    sub.add_argument("format", choices=[name.replace("_", "-") for name in FORMATS], metavar="FORMAT", help=names)
    sub.add_argument("source", type=Path, metavar="IN", help="the file of the data set, or a folder of such files")
    sub.add_argument(
        "--image-folder",
        type=Path,
        required=True,
        metavar="DIR",
        help="where the images are; path-vqa writes them there",
    )
    sub.add_argument("--out", type=Path, required=True, metavar="FILE", help="gets JSON lines; FILE.bad.jsonl the rest")
    sub.add_argument("--seed", type=int, help="draws the requests of captions (default 0)")
    sub.add_argument(
        "--ids", type=Path, metavar="FILE", help="keep only these: one id or file name a line, JSON, or CSV"
    )
    sub.add_argument("--min-words", type=int, help="leave shorter captions out (default 0; PA-LLaVA: 20)")
    sub.add_argument("--split", help="keep this split (quilt-1m, path-vqa, wsi-csv)")
    sub.add_argument("--subset", help="keep this subset (quilt-1m)")
    sub.add_argument("--modality", help="keep this modality (pubmedvision), e.g. 'Microscopy Images'")
    sub.add_argument("--mode", choices=("report", "vqa"), help="which texts of a slide table (wsi-csv; default vqa)")
    sub.add_argument("--labels", type=Path, metavar="FILE", help="JSON, class -> label (class-folders)")
    sub.add_argument(
        "--max-pixels",
        type=int,
        default=MAX_PIXELS,
        help="larger images are left out and counted, they stop nothing (default %(default)s)",
    )
    sub.add_argument(
        "--on-bad",
        choices=("error", "skip"),
        default="error",
        help="error: write nothing if a row is bad or an image missing; skip: leave it out (default %(default)s)",
    )
    sub.add_argument("--overwrite", action="store_true", help="replace a file that is there")
