"""``pathdata convert features``: bags of CLAM, TRIDENT, STAMP and others to ours, and ours to CLAM's and TRIDENT's."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pathplugins.core.errors import PathPluginsError

from ..bags import READERS, WRITERS, Geometry
from ..engine.progress import FAILED, say
from .options import read_options, size_option

if TYPE_CHECKING:
    from ..bags.convert import Converted


@dataclass(frozen=True, kw_only=True)
class FeatureFileOptions:
    """The feature files, the folder of the bags, and what is known about the slides but not recorded."""

    source: Path
    out: Path
    kind: str = "auto"
    to: str = WRITERS[0]
    coords: Path | None = None
    encoder: str | None = None
    patch_size: int | None = None
    patch_size_level0: float | None = None
    mpp: float | None = None
    level0_mpp: float | None = None
    slide_size: tuple[int, int] | None = None
    dtype: Literal["float16", "float32"] = "float16"
    overwrite: bool = False
    json: bool = False

    def __post_init__(self) -> None:
        if self.out.exists() and self.source.exists() and self.out.samefile(self.source):
            raise PathPluginsError(f"--out {self.out} is the source itself; choose another folder")

    def geometry(self) -> Geometry:
        """Return what the options say about the patches of all slides.

        Raises:
            PathPluginsError: a number that is not above 0.
        """
        width, height = self.slide_size or (None, None)
        numbers = {
            "patch_size": self.patch_size,
            "patch_size_level0": self.patch_size_level0,
            "mpp": self.mpp,
            "level0_mpp": self.level0_mpp,
            "level0_width": width,
            "level0_height": height,
        }
        for name, value in numbers.items():
            if value is not None and not (value > 0 and math.isfinite(value)):
                option = "slide-size" if name in ("level0_width", "level0_height") else name.replace("_", "-")
                raise PathPluginsError(f"--{option} must be above 0, got {value}; correct it, or leave it out")
        return Geometry(encoder=self.encoder, **numbers)


def add_options(sub: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    sub.add_argument("source", type=Path, metavar="IN", help="folder of features, searched recursively, or one file")
    sub.add_argument("--out", type=Path, required=True, metavar="DIR", help="gets one bag a slide")
    sub.add_argument(
        "--from",
        dest="kind",
        choices=("auto", *READERS),
        default="auto",
        help="take only files of this tool (default: of every tool that is recognised)",
    )
    sub.add_argument("--to", choices=WRITERS, default=WRITERS[0], help="layout of the bags (default %(default)s)")
    sub.add_argument("--coords", type=Path, metavar="DIR", help="patch files (H5 with coords alone) of these slides")
    sub.add_argument("--encoder", metavar="NAME", help="the patch encoder, where it is not recorded")
    sub.add_argument("--patch-size", type=int, metavar="P", help="side of a patch in pixels at --mpp")
    sub.add_argument("--patch-size-level0", type=float, metavar="Q", help="side of a patch in level-0 pixels")
    sub.add_argument("--mpp", type=float, help="microns per pixel of the patches")
    sub.add_argument("--level0-mpp", type=float, metavar="MPP", help="microns per pixel of the slides")
    sub.add_argument("--slide-size", type=size_option, metavar="WxH", help="size of the slides, level-0 pixels")
    sub.add_argument(
        "--dtype",
        choices=("float16", "float32"),
        default="float16",
        help="type of the features on disk (default %(default)s; CLAM's are float32)",
    )
    sub.add_argument("--overwrite", action="store_true", help="replace bags that exist")
    sub.add_argument("--json", action="store_true", help="print the whole report as JSON")


def run(args: argparse.Namespace) -> int:
    """Convert the feature files slide by slide; returns the exit code."""
    from ..bags.convert import ConversionSettings, convert_features
    from ..bags.find import find_sources

    options = read_options(args, FeatureFileOptions)
    settings = ConversionSettings(
        to=options.to,
        dtype=options.dtype,
        geometry=options.geometry(),
        coords=options.coords,
        overwrite=options.overwrite,
    )
    sources, others = find_sources(options.source, options.kind)
    ended: list[Converted] = [*others]
    for number, converted in enumerate(convert_features(sources, options.source, options.out, settings), 1):
        ended.append(converted)
        say(f"[{number}/{len(sources)}] {converted.slide_id}: {_line(converted)}")
    counts = Counter(converted.status for converted in ended)
    if options.json:
        report = {"counts": dict(counts), "files": [asdict(converted) for converted in ended]}
        sys.stdout.write(json.dumps(report, indent=1) + "\n")
    say(f"{options.out}: " + ", ".join(f"{count} {status}" for status, count in counts.items()))
    for status in ("left out", "failed"):
        for converted in ended:
            if converted.status == status:
                say(f"  {status}: {converted.source}: {converted.reason.removeprefix(f'{converted.source}: ')}")
    return FAILED if counts["failed"] else 0


def _line(converted: Converted) -> str:
    if converted.status == "failed":
        return "failed"
    already = " (exists already)" if converted.status == "skipped" else ""
    return "; ".join([f"{converted.rows} x {converted.width}{already}", *converted.notes])
