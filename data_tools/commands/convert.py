"""``pathdata convert``: turn a published data set into LLaVA JSON lines, every image checked."""

from __future__ import annotations

import argparse
from pathlib import Path

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.formats import FORMATS
from pathplugins.data.images import MAX_PIXELS

from ..progress import FAILED, say

READER_OPTIONS = ("seed", "ids", "min_words", "split", "subset", "modality", "mode", "labels")
"""Handed to the reader of the format; each format has some of them."""


def add_options(sub: argparse.ArgumentParser) -> None:
    """What it takes."""
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


def run(args: argparse.Namespace) -> int:
    """Do it; returns the exit code."""
    from ..convert import convert

    if args.out.exists() and args.source.exists() and args.out.samefile(args.source) and args.overwrite:
        raise PathPluginsError(f"--out {args.out} is the source itself; choose another name")
    if args.out.exists() and not args.overwrite:
        raise PathPluginsError(f"{args.out} is there already; pass --overwrite to replace it")
    if args.max_pixels <= 0:
        raise PathPluginsError(f"--max-pixels must be above 0, got {args.max_pixels}")
    done = convert(
        args.source,
        args.out,
        format_name=args.format.replace("-", "_"),
        image_folder=args.image_folder,
        options={name: getattr(args, name) for name in READER_OPTIONS},
        max_pixels=args.max_pixels,
        on_bad=args.on_bad,
    )
    if done.report:
        say(done.report)
    if not done.written:
        say("nothing was written; " + ("correct these rows, or pass --on-bad skip" if done.bad else "no row is left"))
        return FAILED
    say(
        f"{args.out}: {done.written} samples; left out: {done.bad} bad, {done.too_large} above {args.max_pixels} pixels"
    )
    return 0
