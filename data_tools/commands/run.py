"""``pathdata run``: from slides to bags in one go, no patch files in between."""

from __future__ import annotations

import argparse

from ..encoders.bag_recipe import BagRecipe
from ..engine.launch import add_engine_options, launch
from .features import add_encoding_options, encoder_choice, feature_options
from .patch import add_tiling_options, slide_jobs


def add_options(sub: argparse.ArgumentParser) -> None:
    """What it takes: the options of patch and of features."""
    add_tiling_options(sub)
    add_encoding_options(sub)
    add_engine_options(sub)


def run(args: argparse.Namespace) -> int:
    """Do it; returns the exit code."""
    recipe = BagRecipe(
        command="run",
        work=args.out,
        bags=args.out / "bags",
        encoder=encoder_choice(args),
        features=feature_options(args),
        overwrite=args.overwrite,
    )
    return launch(args, slide_jobs(args), recipe)
