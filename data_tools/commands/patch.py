"""``pathdata patch``: find tissue on slides and cut it into patches."""

from __future__ import annotations

import argparse
from dataclasses import replace

from pathplugins.core.suffixes import slide_name

from ..encoders.bag_recipe import BagJob, BagRecipe
from ..engine.launch import launch
from ..engine.progress import say
from ..slides.find import find_slides
from ..tiling.process_list import NAME, record_questions
from ..tiling.slides_to_cut import slides_to_cut
from .options import read_options
from .options.engine import EngineOptions, add_engine_options
from .options.tiling import TilingOptions, add_tiling_options


def add_options(sub: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add_tiling_options(sub)
    add_engine_options(sub)


def run(args: argparse.Namespace) -> int:
    """Cut the slides; returns the exit code."""
    tiling, engine = read_options(args, TilingOptions), read_options(args, EngineOptions)
    recipe = BagRecipe(
        command="patch",
        work=tiling.out,
        bags=tiling.out / "bags",
        save_patches=tiling.save_patches is not None,
        overwrite=engine.overwrite,
    )
    return launch_slides(tiling, recipe, engine)


def launch_slides(tiling: TilingOptions, recipe: BagRecipe, engine: EngineOptions) -> int:
    """Do the slides, and write what is to be questioned into the process list; returns the exit code."""
    return launch(
        slide_jobs(tiling, dry_run=engine.dry_run),
        recipe,
        engine,
        summary_to=engine.summary_to,
        on_summary=lambda summary: record_questions(tiling.out / NAME, summary.questions(), summary.areas),
    )


def slide_jobs(options: TilingOptions, *, dry_run: bool) -> list[BagJob]:
    """Return the slides to do, each with its own settings; writes the process list unless it is a dry run.

    Raises:
        PathPluginsError: options, lists or masks that cannot be used.
    """
    spec = options.spec()
    chosen = slides_to_cut(
        find_slides(options.slides, outside=options.out, tell=say),
        spec,
        options.out,
        mpp_csv=options.mpp_csv,
        process_list=options.process_list,
        dry_run=dry_run,
    )
    masks, coords = options.masks(list(chosen)), options.own_coords(list(chosen))
    return [
        BagJob(
            slide_id=slide_name(slide),
            slide=slide,
            tiling=replace(own, mask=masks.get(slide), coords=coords.get(slide)),
        )
        for slide, own in chosen.items()
    ]
