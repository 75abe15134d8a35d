"""``pathdata convert``: turn a data set into a training file of another format, or feature files into bags."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.formats import READERS
from pathplugins.data.images import MAX_PIXELS

from ..engine.progress import FAILED, say
from ..records.writers import WRITERS

READER_OPTIONS = ("seed", "ids", "min_words", "naming", "split", "subset", "modality", "mode", "labels")
"""Handed to the reader of the format; each format has some of them."""
FEATURES = "features"
"""In the place of a format: the command for feature files, which has options of its own."""


def add_options(sub: argparse.ArgumentParser) -> None:
    """What it takes."""
    sub.parse_known_args = _features_apart(sub)  # type: ignore[method-assign]
    sub.epilog = f"`pathdata convert {FEATURES} ...` turns feature files into bags: pathdata convert {FEATURES} -h"
    names = _dashed(READERS)
    sub.add_argument("format", choices=names, metavar="FORMAT", help=", ".join(names))
    sub.add_argument("source", type=Path, metavar="IN", help="the file of the data set, or a folder of such files")
    sub.add_argument(
        "--to",
        choices=_dashed(WRITERS),
        metavar="FORMAT",
        help=f"the format of --out: {', '.join(_dashed(WRITERS))} (default: xtuner, the JSON lines of LLaVA)",
    )
    sub.add_argument(
        "--image-folder",
        type=Path,
        metavar="DIR",
        help="where the images are, each is looked at; path-vqa writes them there. Needed without --to; with --to and "
        "without a folder, images stay as they are written and nobody looks at them, but those that belong to IN (of "
        "pathgen) are looked at and written relative to --out",
    )
    sub.add_argument("--image-suffix", metavar=".EXT", help="replaces the last suffix of every image, e.g. .csv by .h5")
    sub.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="FILE",
        help="gets them; FILE.bad.jsonl those left out. A folder, or a name without a suffix, gets FORMAT.json",
    )
    sub.add_argument("--seed", type=int, help="draws the requests of captions (default 0)")
    sub.add_argument(
        "--ids", type=Path, metavar="FILE", help="keep only these: one id or file name a line, JSON, or CSV"
    )
    sub.add_argument("--min-words", type=int, help="leave shorter captions out (default 0; PA-LLaVA: 20)")
    sub.add_argument(
        "--naming", choices=("slide", "flat"), help="of the pictures of the published JSON (pathgen; default slide)"
    )
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
        help="error: write nothing if a row is bad, an image missing, or the output format cannot hold a row; skip: "
        "leave it out (default %(default)s)",
    )
    sub.add_argument("--overwrite", action="store_true", help="replace a file, or an entry of dataset_info.json")
    sub.add_argument("--dry-run", action="store_true", help="read and check everything, write nothing")
    sub.add_argument("--json", action="store_true", help="one line of JSON on stdout: written, bad, too_large, out")


def run(args: argparse.Namespace) -> int:
    """Do it; returns the exit code."""
    from ..records.convert import Request, convert

    args.out = _file(args)
    _check(args)
    done = convert(
        Request(
            source=args.source,
            out=args.out,
            format_name=args.format.replace("-", "_"),
            to=args.to and args.to.replace("-", "_"),
            image_folder=args.image_folder,
            image_suffix=args.image_suffix,
            options={name: getattr(args, name) for name in READER_OPTIONS},
            max_pixels=args.max_pixels,
            on_bad=args.on_bad,
            overwrite=args.overwrite,
            dry_run=args.dry_run,
        )
    )
    if done.report:
        say(done.report)
    if args.json:
        counts = {"written": done.written, "bad": done.bad, "too_large": done.too_large, "out": str(args.out)}
        sys.stdout.write(f"{json.dumps(counts)}\n")
    if not done.written:
        say("nothing was written; " + ("correct these rows, or pass --on-bad skip" if done.bad else "no row is left"))
        return FAILED
    samples = f"{done.written} samples (a dry run, nothing was written)" if args.dry_run else f"{done.written} samples"
    say(f"{args.out}: {samples}; left out: {done.bad} bad, {done.too_large} above {args.max_pixels} pixels")
    return 0


def _file(args: argparse.Namespace) -> Path:
    """The file to write, named after the format where --out is a folder."""
    if args.out.is_file() or (args.out.suffix and not args.out.is_dir()):
        return args.out
    target = WRITERS.get((args.to or "xtuner").replace("-", "_"))
    return args.out / f"{args.format.replace('-', '_')}{target.suffix}"


def _check(args: argparse.Namespace) -> None:
    if args.image_folder is None and args.to is None:
        raise PathPluginsError("--image-folder is needed: where the images are (with --to, it may be left out)")
    if args.out.exists() and args.source.exists() and args.out.samefile(args.source) and args.overwrite:
        raise PathPluginsError(f"--out {args.out} is the source itself; choose another name")
    if args.out.exists() and not args.overwrite and not args.dry_run:
        raise PathPluginsError(f"{args.out} is there already; pass --overwrite to replace it")
    if args.max_pixels <= 0:
        raise PathPluginsError(f"--max-pixels must be above 0, got {args.max_pixels}")
    if args.image_suffix is not None and (args.image_suffix[:1] != "." or "/" in args.image_suffix):
        raise PathPluginsError(f"--image-suffix must begin with a dot, as in .h5; got {args.image_suffix!r}")


def _features_apart(sub: argparse.ArgumentParser) -> Callable[..., Any]:
    """A ``parse_known_args`` that leaves ``features ...`` to its own module, which is loaded for that word alone."""
    parse = sub.parse_known_args

    def parse_known_args(args: Sequence[str] | None = None, namespace: Any = None) -> Any:
        if not args or args[0] != FEATURES:
            return parse(args, namespace)
        from . import convert_features

        title = "turn feature files of other tools into bags"
        features = type(sub)(prog=f"{sub.prog} {FEATURES}", description=title)
        convert_features.add_options(features)
        features.set_defaults(run=convert_features.run)
        return features.parse_known_args(args[1:], namespace)

    return parse_known_args


def _dashed(names: Any) -> list[str]:
    return [name.replace("_", "-") for name in names]
