"""``pathdata patch``: find tissue on slides and cut it into patches."""

from __future__ import annotations

import argparse
from pathlib import Path

from pathplugins.core.errors import PathPluginsError

from ..grid import TilingSpec
from ..progress import each_slide
from ..resolution import MICRONS_PER_PIXEL_AT_1X


def add_options(sub: argparse.ArgumentParser) -> None:
    """What it takes."""
    spec = TilingSpec()
    sub.add_argument("slides", nargs="+", type=Path, metavar="SLIDE", help="slide files, or folders to search")
    sub.add_argument("--out", type=Path, required=True, metavar="DIR", help="gets coords/, overlays/ and errors/")
    sub.add_argument(
        "--patch-size", type=int, default=spec.patch_size, help="side in pixels at --mpp (default %(default)s)"
    )
    resolution = sub.add_mutually_exclusive_group()
    resolution.add_argument(
        "--mpp", type=float, default=spec.mpp, help="microns per pixel of the patches (default %(default)s)"
    )
    resolution.add_argument("--magnification", type=float, help="the same as --mpp 10/MAGNIFICATION")
    sub.add_argument(
        "--overlap", type=int, default=spec.overlap, help="pixels at --mpp shared by neighbours (default %(default)s)"
    )
    sub.add_argument(
        "--min-tissue", type=float, default=spec.min_tissue, help="smallest fraction of tissue (default %(default)s)"
    )
    sub.add_argument("--slide-mpp", type=float, help="level-0 microns per pixel of slides that record none")
    sub.add_argument("--overwrite", action="store_true", help="redo slides that are done")


def run(args: argparse.Namespace) -> int:
    """Do it; returns the exit code."""
    from ..patching import patch_slide
    from ..slides import find_slides

    if args.magnification is not None and args.magnification <= 0:
        raise PathPluginsError(f"--magnification must be above 0 (e.g. 20), got {args.magnification:g}")
    spec = TilingSpec(
        patch_size=args.patch_size,
        mpp=MICRONS_PER_PIXEL_AT_1X / args.magnification if args.magnification else args.mpp,
        overlap=args.overlap,
        min_tissue=args.min_tissue,
        slide_mpp=args.slide_mpp,
    )
    slides = find_slides(args.slides, outside=args.out)
    return each_slide(slides, lambda slide: patch_slide(slide, args.out, spec, overwrite=args.overwrite), args.out)
