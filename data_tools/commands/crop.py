"""``pathdata crop``: cut the middle out of pictures so that they have another resolution and size."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pathplugins.core.counted import counted
from pathplugins.core.errors import PathPluginsError
from pathplugins.data.records import BadSample

from ..engine.locks import Held, holding
from ..engine.outcome import check_same_settings
from ..engine.progress import FAILED, bars, say
from ..pictures.crop import Crop, is_mask
from ..pictures.crop_tree import RECORD, CropPlan, crop_all, plan_crops, report
from .options import read_options


@dataclass(frozen=True, kw_only=True)
class CropOptions(Crop):
    """The pictures, where their crops go, and what is cut."""

    source: Path
    out: Path
    workers: int | None = None
    overwrite: bool = False
    json: bool = False

    def crop(self) -> Crop:
        """Return what is cut."""
        return read_options(argparse.Namespace(**vars(self)), Crop)


def add_options(sub: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    sub.add_argument("source", type=Path, metavar="DIR", help="folder of pictures, searched to any depth")
    sub.add_argument("--out", type=Path, required=True, metavar="DIR", help="gets the same tree and file names")
    sub.add_argument("--from-mpp", type=float, required=True, metavar="MPP", help="microns per pixel of the pictures")
    sub.add_argument("--to-mpp", type=float, required=True, metavar="MPP", help="microns per pixel of the crops")
    sub.add_argument("--size", type=int, required=True, metavar="PX", help="side of the crops, pixels")
    sub.add_argument(
        "--jpeg-quality",
        type=int,
        default=Crop.jpeg_quality,
        metavar="Q",
        help="1 to 100 (default %(default)s); PNG, TIFF and BMP are lossless, and so are masks (<stem>_mask)",
    )
    sub.add_argument("--workers", type=int, help="processes (default: the number of cores)")
    sub.add_argument("--json", action="store_true", help="print the summary as JSON on stdout")
    sub.add_argument("--overwrite", action="store_true", help="redo crops that exist")


def run(args: argparse.Namespace) -> int:
    """Crop the pictures; returns the exit code."""
    options = read_options(args, CropOptions)
    crop, workers = options.crop(), options.workers
    if workers is not None and workers < 1:
        raise PathPluginsError(f"--workers must be at least 1, got {workers}")
    record = options.out / RECORD
    if record.exists() and not options.overwrite:
        check_same_settings(record, found=record.read_text(encoding="utf-8").strip(), wanted=crop.settings())
    plan = plan_crops(options.source, options.out, crop, overwrite=options.overwrite)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    workers = min(workers or cores, max(1, len(plan.due)))
    bad: list[BadSample] = []
    try:
        with holding(options.out / ".crop.lock"), bars() as shown:
            task = shown.add_task("pictures", total=len(plan.due), unit="files")
            for ended in crop_all(options.source, options.out, plan, crop, workers=workers):
                shown.advance(task)
                bad += [ended] if ended else []
    except Held as held:
        raise PathPluginsError(f"{options.out}: {held.holder} is writing there; wait for it to end") from held
    _say_summary(options, plan, bad)
    return FAILED if bad else 0


def _say_summary(options: CropOptions, plan: CropPlan, bad: Sequence[BadSample]) -> None:
    crop = options.crop()
    masks = sum(map(is_mask, plan.due))
    counts = {"files": len(plan.due) - len(bad), "masks": masks, "failed": len(bad)}
    counts |= {"skipped": len(plan.done), "others": plan.others, "changed": plan.changed}
    if options.json:
        sys.stdout.write(json.dumps(counts | {"cut_px": crop.cut_px}) + "\n")
    if bad:
        say(report(bad, len(plan.due)))
    remarks = [f"{masks} masks among them"] if masks else []
    remarks += [f"{len(plan.done)} exist already"] if plan.done else []
    remarks += [f"{plan.changed} cut again: other pictures have their names now"] if plan.changed else []
    remarks += [f"left out: {counted(plan.others, 'file')}, no pictures"] if plan.others else []
    scale = f"{crop.cut_px} px at {crop.from_mpp:g} um/px -> {crop.size} px at {crop.to_mpp:g} um/px"
    say("; ".join([f"{options.out}: {counted(counts['files'], 'file')}, {scale}", *remarks]))
