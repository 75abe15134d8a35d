"""``pathdata demo-slide``: write a made-up slide to try things with."""

from __future__ import annotations

import argparse
from pathlib import Path

from pathplugins.core.errors import PathPluginsError

from ..engine.progress import say
from ..slides.demo import KINDS, write_demo_slide
from . import size_option


def add_options(sub: argparse.ArgumentParser) -> None:
    """What it takes."""
    kinds = ", ".join(f"{i} {kind.name.partition(':')[0]}" for i, kind in enumerate(KINDS))
    sub.add_argument("path", type=Path, metavar="OUT.svs")
    sub.add_argument(
        "--size", type=size_option, default=(3072, 2304), metavar="WxH", help="level-0 pixels (default 3072x2304)"
    )
    sub.add_argument("--seed", type=int, default=0, help="of the random tissue (default %(default)s)")
    sub.add_argument(
        "--kind",
        type=int,
        default=0,
        help=f"{kinds} (default %(default)s)",
    )
    sub.add_argument("--overwrite", action="store_true", help="replace a file that is there")


def run(args: argparse.Namespace) -> int:
    """Do it; returns the exit code."""
    if args.path.exists() and not args.overwrite:
        raise PathPluginsError(f"{args.path} is there already; pass --overwrite to replace it")
    write_demo_slide(args.path, args.size, seed=args.seed, kind=args.kind)
    say(f"{args.path}: {args.size[0]} x {args.size[1]} pixels, 0.5 um/px")
    return 0
