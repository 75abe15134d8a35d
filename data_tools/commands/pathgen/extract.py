"""``pathdata pathgen extract``: cut the patches of a JSON from their slides, as image-caption pairs."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.pathgen import slide_key

from ...engine.launch import launch
from ...engine.progress import FAILED, say
from ...engine.state import StateFolder
from ...pathgen.pairs.extract import COMMAND, PairJob, PairRecipe
from ...pathgen.pairs.finished import check_settings, finished_path, read_finished
from ...pathgen.pairs.manifest import MISSING, PLAN, Gathered, gather, is_current, open_plan
from ...pathgen.pairs.options import NAMINGS, OUTSIDE, PAIR_FORMATS, PairOptions
from ...pathgen.pairs.plan import PlannedSlide
from ...slides.find import index_slides
from ...slides.missing import MissingSlides, missing_slides
from ...slides.mpp_table import read_mpp_table
from ..options import read_options
from ..options.engine import EngineOptions, add_engine_options


def add_options(sub: argparse.ArgumentParser) -> None:
    """What it takes."""
    usual = PairOptions()
    sub.add_argument("source", type=Path, metavar="JSON", help="PathGen-1.6M or PathGen-Instruct; JSON or JSON lines")
    sub.add_argument(
        "--slides",
        action="append",
        type=Path,
        required=True,
        metavar="DIR",
        help="where the slides are, at any depth, under any slide suffix, whatever the case of names; may be repeated",
    )
    sub.add_argument("--out", type=Path, required=True, metavar="DIR", help="gets the pictures and manifest.jsonl")
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
        help="microns per pixel of the pictures, whose upper-left corner stays (default: the pixels of level 0 as they "
        "are, as published)",
    )
    sub.add_argument("--slide-mpp", type=float, help="level-0 microns per pixel of slides that record none")
    sub.add_argument(
        "--mpp-csv", type=Path, metavar="CSV", help="level-0 microns per pixel of single slides, whatever they record"
    )
    sub.add_argument(
        "--outside",
        choices=OUTSIDE,
        default=usual.outside,
        help="boxes that stick out of their slide; skip: left out, which is a failure; pad: white there, and `outside` "
        "in the manifest says how much (default %(default)s)",
    )
    sub.add_argument(
        "--missing-slides",
        choices=("error", "skip"),
        default="error",
        help="the others are done in any case; error: exit 1 at the end; skip: a report only (default %(default)s)",
    )
    sub.add_argument(
        "--on-bad",
        choices=("error", "skip"),
        default="error",
        help="rows that cannot be used; error: do nothing; skip: leave them out (default %(default)s)",
    )
    add_engine_options(sub)


def run(args: argparse.Namespace) -> int:
    """Do it; returns the exit code."""
    engine = read_options(args, EngineOptions)
    names = ("format", "quality", "png_level", "naming", "captions", "size", "mpp", "slide_mpp", "outside")
    options = PairOptions(**{name: getattr(args, name) for name in names})
    with ExitStack() as stack:
        folder = args.out
        if args.dry_run:  # which writes nothing
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        named = options.naming == "slide" and options.format != "webdataset"
        keep_bad = args.on_bad == "skip"
        plan, report = open_plan(args.source, folder, named=named, keep_bad=keep_bad, for_good=not args.dry_run)
        if report:
            say(report)
        if plan is None:
            say("nothing was done; correct these rows, or pass --on-bad skip")
            return FAILED
        slides = stack.enter_context(plan).slides()
        if not slides:
            raise PathPluginsError(f"{args.source}: no row is left")
        overrides = _overrides(args.mpp_csv, slides)
        jobs, missing = _jobs(args, slides, options, overrides)
        if said := missing.text("are not below --slides"):
            say(said)
        recipe = PairRecipe(
            command=COMMAND, work=args.out, overwrite=args.overwrite, plan=args.out / PLAN, options=options
        )
        if args.dry_run:
            return launch(jobs, recipe, engine, summary_to=engine.summary_to)
        code = launch(jobs, recipe, engine)
    found = gather(args.out, slides, options, overrides, missing.slides, StateFolder(args.out, COMMAND).failure)
    say(found.text(args.out))
    if args.json:
        sys.stdout.write(f"{json.dumps(_summary(found, args.out))}\n")
    unforgiven = {MISSING} if args.missing_slides == "skip" else set()
    return code or (FAILED if {failure["reason"] for failure in found.failures} - unforgiven else 0)


def _jobs(
    args: argparse.Namespace, slides: list[PlannedSlide], options: PairOptions, overrides: dict[str, float]
) -> tuple[list[PairJob], MissingSlides]:
    """The slides to do, and those of which there is neither a file nor what would be made of it.

    Raises:
        PathPluginsError: something is there of other settings; or there is nothing to do.
    """
    index = index_slides(args.slides, {slide.key for slide in slides}, tell=say)
    jobs, there = [], set()
    for slide in slides:
        path, part = index.get(slide.key), finished_path(args.out, slide.wsi_id)
        override = overrides.get(slide.wsi_id)
        head = None if args.overwrite else read_finished(part)
        if head is not None:
            check_settings(part, head, options, override)
        gone = path is None and head is not None and is_current(head, slide, options, override)
        if path is None and not gone:
            continue
        there.add(slide.key)
        job = PairJob(slide_id=slide.wsi_id, slide=path or part, planned=slide, override_mpp=override, gone=gone)
        jobs.append(job)
    missing = missing_slides({slide.wsi_id: slide.pairs for slide in slides}, there)
    if not jobs:
        folders = ", ".join(map(str, args.slides))
        raise PathPluginsError(f"none of the {len(slides)} slides of {args.source} is below --slides {folders}")
    return jobs, missing


def _overrides(table: Path | None, slides: list[PlannedSlide]) -> dict[str, float]:
    """``wsi_id`` -> resolution given for it."""
    if table is None:
        return {}
    given = {slide_key(name): mpp for name, mpp in read_mpp_table(table).items()}
    if lost := given.keys() - {slide.key for slide in slides}:
        say(f"{table}: {len(lost)} of its slides are not in the source")
    return {slide.wsi_id: given[slide.key] for slide in slides if slide.key in given}


def _summary(found: Gathered, work: Path) -> dict[str, object]:
    """For --json."""
    values = {name: value for name, value in vars(found).items() if name != "failures"}
    reasons = {failure["reason"] for failure in found.failures}
    lost = {reason: found.lost(reason) for reason in sorted(reasons)}
    return {**values, "lost": lost, "out": str(work)}
