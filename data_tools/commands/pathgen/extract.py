"""``pathdata pathgen extract``: cut the patches of a JSON from their slides, as image-caption pairs."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pathplugins.core.errors import PathPluginsError

from ...engine.launch import launch
from ...engine.progress import FAILED, say
from ...engine.state import StateFolder
from ...pathgen.pairs.extract import COMMAND, PairRecipe
from ...pathgen.pairs.jobs import pair_jobs, read_overrides
from ...pathgen.pairs.manifest import MISSING, PLAN, Gathered, gather, open_plan
from ...pathgen.pairs.options import NAMINGS, OUTSIDE, PAIR_FORMATS, PairOptions
from ..options import read_options
from ..options.engine import EngineOptions, add_engine_options
from ..options.resolution import add_mpp_csv_option, add_slide_mpp_option


@dataclass(frozen=True, kw_only=True)
class ExtractOptions:
    """The caption file, the slides, the output folder, and what happens to rows and slides that cannot be used."""

    source: Path
    slides: list[Path]
    out: Path
    mpp_csv: Path | None = None
    missing_slides: Literal["error", "skip"] = "error"
    on_bad: Literal["error", "skip"] = "error"


def add_options(sub: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    sub.add_argument("source", type=Path, metavar="JSON", help="PathGen-1.6M or PathGen-Instruct; JSON or JSON lines")
    sub.add_argument(
        "--slides",
        action="append",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder of the slides, searched to any depth, under any slide suffix, without regard to case; may be "
        "repeated",
    )
    sub.add_argument("--out", type=Path, required=True, metavar="DIR", help="gets the pictures and manifest.jsonl")
    _add_pair_options(sub)
    add_mpp_csv_option(sub)
    sub.add_argument(
        "--missing-slides",
        choices=("error", "skip"),
        default="error",
        help="the other slides are done in any case; error: exit 1 at the end; skip: only report them "
        "(default %(default)s)",
    )
    sub.add_argument(
        "--on-bad",
        choices=("error", "skip"),
        default="error",
        help="rows that cannot be used; error: do nothing; skip: leave them out (default %(default)s)",
    )
    add_engine_options(sub)


def _add_pair_options(sub: argparse.ArgumentParser) -> None:
    usual = PairOptions()
    sub.add_argument(
        "--format",
        choices=PAIR_FORMATS,
        default=usual.format,
        help="webdataset: one tar a slide, of JPEG pictures (default %(default)s)",
    )
    sub.add_argument("--quality", type=int, default=usual.quality, help="of JPEG (default %(default)s)")
    sub.add_argument("--png-level", type=int, default=usual.png_level, help="of zlib, 0 to 9 (default %(default)s)")
    sub.add_argument(
        "--naming",
        choices=NAMINGS,
        default=usual.naming,
        help="slide: WSI_ID/X_Y.jpg, as PathGen-Instruct has them; flat: WSI_ID_X_Y.png (default %(default)s)",
    )
    sub.add_argument("--captions", action="store_true", help="write a .txt beside every picture too")
    sub.add_argument("--size", type=int, default=usual.size, help="side of a picture, pixels (default %(default)s)")
    sub.add_argument(
        "--mpp",
        type=float,
        help="microns per pixel of the pictures, whose upper-left corner stays (default: level-0 pixels as they are, "
        "as published)",
    )
    add_slide_mpp_option(sub)
    sub.add_argument(
        "--outside",
        choices=OUTSIDE,
        default=usual.outside,
        help="boxes that extend beyond their slide; skip: left out, which counts as a failure; pad: white there, and "
        "`outside` in the manifest gives the fraction (default %(default)s)",
    )


def run(args: argparse.Namespace) -> int:
    """Extract the pairs of every slide and gather them in one manifest; returns the exit code."""
    options, engine = read_options(args, ExtractOptions), read_options(args, EngineOptions)
    pairs = read_options(args, PairOptions)
    with ExitStack() as stack:
        folder = options.out
        if engine.dry_run:  # writes nothing into --out
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        plan, report = open_plan(
            options.source,
            folder,
            named=pairs.naming == "slide" and pairs.format != "webdataset",
            keep_bad=options.on_bad == "skip",
            list_bad=not engine.dry_run,
        )
        if report:
            say(report)
        if plan is None:
            say("nothing was done; correct these rows, or pass --on-bad skip")
            return FAILED
        slides = stack.enter_context(plan).slides()
        if not slides:
            raise PathPluginsError(f"{options.source}: no row is left; give a file with rows that can be used")
        overrides = read_overrides(options.mpp_csv, slides)
        work, overwrite = options.out, engine.overwrite
        jobs, missing = pair_jobs(slides, options.slides, work, pairs, overrides, overwrite=overwrite)
        if not jobs:
            folders = ", ".join(map(str, options.slides))
            raise PathPluginsError(
                f"none of the {len(slides)} slides of {options.source} is below --slides {folders}; name their folder"
            )
        if said := missing.text("are not below --slides"):
            say(said)
        recipe = PairRecipe(command=COMMAND, work=work, overwrite=overwrite, plan=work / PLAN, options=pairs)
        code = launch(jobs, recipe, engine, summary_to=engine.summary_to if engine.dry_run else None)
    if engine.dry_run:
        return code
    found = gather(work, slides, pairs, overrides, missing.slides, StateFolder(work, COMMAND).failure)
    say(found.text(work))
    if engine.json:
        sys.stdout.write(f"{json.dumps(_summary(found, work))}\n")
    unforgiven = {MISSING} if options.missing_slides == "skip" else set()
    return code or (FAILED if {failure["reason"] for failure in found.failures} - unforgiven else 0)


def _summary(found: Gathered, work: Path) -> dict[str, object]:
    """Return the counts for ``--json``."""
    values = {name: value for name, value in vars(found).items() if name != "failures"}
    reasons = {failure["reason"] for failure in found.failures}
    lost = {reason: found.lost(reason) for reason in sorted(reasons)}
    return {**values, "lost": lost, "out": str(work)}
