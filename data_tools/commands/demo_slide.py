"""``pathdata demo-slide``: write a made-up slide to try things with."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from pathplugins.core.errors import PathPluginsError

from ..engine.progress import say
from ..slides.demo import KINDS, write_demo_slide
from ..slides.resolution import MICRONS_PER_PIXEL_AT_1X
from .options import read_options, size_option

_SUFFIXES = (".svs", ".tif", ".tiff")


@dataclass(frozen=True, kw_only=True)
class DemoSlideOptions:
    """Where the slide is written, and how it looks."""

    path: Path
    """The SVS file."""
    size: tuple[int, int]
    """(w, h), level-0 pixels."""
    mpp: float
    """Level-0 microns per pixel."""
    seed: int
    """Seed of the random tissue."""
    kind: int
    """Index into ``KINDS``."""
    overwrite: bool
    """Replace a file that exists."""


def add_options(sub: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    kinds = ", ".join(f"{i} {kind.name.partition(':')[0]}" for i, kind in enumerate(KINDS))
    sub.add_argument("path", type=Path, metavar="OUT.svs", help="the slide to write")
    sub.add_argument(
        "--size", type=size_option, default=(3072, 2304), metavar="WxH", help="level-0 pixels (default 3072x2304)"
    )
    sub.add_argument(
        "--mpp", type=float, default=0.5, help="level-0 microns per pixel; 0.25 is a 40x slide (default %(default)s)"
    )
    sub.add_argument("--seed", type=int, default=0, help="seed of the random tissue (default %(default)s)")
    sub.add_argument("--kind", type=int, default=0, help=f"kind of tissue: {kinds} (default %(default)s)")
    sub.add_argument("--overwrite", action="store_true", help="replace a file that exists")


def run(args: argparse.Namespace) -> int:
    """Write the slide; returns the exit code."""
    options = read_options(args, DemoSlideOptions)
    if options.path.suffix.lower() not in _SUFFIXES:
        raise PathPluginsError(f"{options.path}: the slide is a TIFF; let its name end with {', '.join(_SUFFIXES)}")
    if options.path.exists() and not options.overwrite:
        raise PathPluginsError(f"{options.path} exists already; pass --overwrite to replace it")
    if not options.mpp > 0:
        raise PathPluginsError(f"--mpp must be above 0 (e.g. 0.25), got {options.mpp:g}")
    magnification = round(MICRONS_PER_PIXEL_AT_1X / options.mpp)
    write_demo_slide(
        options.path, options.size, seed=options.seed, kind=options.kind, mpp=options.mpp, magnification=magnification
    )
    say(f"{options.path}: {options.size[0]} x {options.size[1]} pixels, {options.mpp:g} um/px")
    return 0
