"""``pathdata convert features``: bags of CLAM, TRIDENT, STAMP and others to ours, and ours to CLAM's and TRIDENT's."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pathplugins.core.errors import PathPluginsError

from ..bags import READERS, WRITERS, Geometry
from ..engine.progress import FAILED, say
from .options import size_option


def add_options(sub: argparse.ArgumentParser) -> None:
    """What it takes."""
    sub.add_argument("source", type=Path, metavar="IN", help="folder of features, searched recursively, or one file")
    sub.add_argument("--out", type=Path, required=True, metavar="DIR", help="gets one bag a slide")
    sub.add_argument(
        "--from",
        dest="kind",
        choices=("auto", *READERS),
        default="auto",
        help="take only what this tool wrote (default: whatever is known)",
    )
    sub.add_argument("--to", choices=WRITERS, default=WRITERS[0], help="whose layout (default %(default)s)")
    sub.add_argument("--coords", type=Path, metavar="DIR", help="patch files (H5 with coords alone) of these slides")
    sub.add_argument("--encoder", metavar="NAME", help="the patch encoder, where it is not recorded")
    sub.add_argument("--patch-size", type=int, metavar="P", help="side of a patch in pixels at --mpp")
    sub.add_argument("--patch-size-level0", type=float, metavar="Q", help="side of a patch in level-0 pixels")
    sub.add_argument("--mpp", type=float, help="microns per pixel of the patches")
    sub.add_argument("--level0-mpp", type=float, metavar="MPP", help="microns per pixel of the slides")
    sub.add_argument("--slide-size", type=size_option, metavar="WxH", help="of the slides, level-0 pixels")
    sub.add_argument(
        "--dtype",
        choices=("float16", "float32"),
        default="float16",
        help="of the features on disk (default %(default)s; CLAM's are float32)",
    )
    sub.add_argument("--overwrite", action="store_true", help="replace bags that are there")
    sub.add_argument("--json", action="store_true", help="print the whole report as JSON")


def run(args: argparse.Namespace) -> int:
    """Do it; returns the exit code."""
    from ..bags.convert import ConversionSettings, Converted, convert_features, find_sources

    wanted = ConversionSettings(
        to=args.to, dtype=args.dtype, geometry=_geometry(args), coords=args.coords, overwrite=args.overwrite
    )
    if args.out.exists() and args.source.exists() and args.out.samefile(args.source):
        raise PathPluginsError(f"--out {args.out} is the source itself; choose another folder")
    sources, others = find_sources(args.source, args.kind)
    ended: list[Converted] = [*others]
    for number, converted in enumerate(convert_features(sources, args.source, args.out, wanted), 1):
        ended.append(converted)
        say(f"[{number}/{len(sources)}] {converted.slide_id}: {_line(converted)}")
    counts = Counter(converted.status for converted in ended)
    if args.json:
        report = {"counts": dict(counts), "files": [asdict(converted) for converted in ended]}
        sys.stdout.write(json.dumps(report, indent=1) + "\n")
    say(f"{args.out}: " + ", ".join(f"{count} {status}" for status, count in counts.items()))
    for status in ("left out", "failed"):
        for converted in ended:
            if converted.status == status:
                say(f"  {status}: {converted.source}: {converted.reason.removeprefix(f'{converted.source}: ')}")
    return FAILED if counts["failed"] else 0


def _line(converted: Any) -> str:
    if converted.status == "failed":
        return "failed"
    already = " (there already)" if converted.status == "skipped" else ""
    return "; ".join([f"{converted.rows} x {converted.width}{already}", *converted.notes])


def _geometry(args: argparse.Namespace) -> Geometry:
    """What the options say; all of it must be above 0."""
    width, height = args.slide_size or (None, None)
    numbers = {
        "patch_size": args.patch_size,
        "patch_size_level0": args.patch_size_level0,
        "mpp": args.mpp,
        "level0_mpp": args.level0_mpp,
        "level0_width": width,
        "level0_height": height,
    }
    for name, value in numbers.items():
        if value is not None and not 0 < value < float("inf"):
            raise PathPluginsError(f"--{name.replace('_', '-')} must be above 0, got {value}")
    return Geometry(encoder=args.encoder, **numbers)
