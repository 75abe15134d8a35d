"""``pathdata run``: from slides to bags in one go, no patch files in between."""

from __future__ import annotations

import argparse

from ..encoders.bag_recipe import BagRecipe
from .options import read_options
from .options.engine import EngineOptions, add_engine_options
from .options.models import EncodingOptions, add_encoding_options
from .options.tiling import TilingOptions, add_tiling_options
from .patch import launch_slides


def add_options(sub: argparse.ArgumentParser) -> None:
    """Add the options of patch and of features."""
    add_tiling_options(sub)
    add_encoding_options(sub)
    add_engine_options(sub)


def run(args: argparse.Namespace) -> int:
    """Cut and encode the slides; returns the exit code."""
    tiling, engine = read_options(args, TilingOptions), read_options(args, EngineOptions)
    encoding = read_options(args, EncodingOptions)
    recipe = BagRecipe(
        command="run",
        work=tiling.out,
        bags=tiling.out / "bags",
        encoder=encoding.choice(),
        features=encoding.features(),
        save_patches=tiling.save_patches is not None,
        overwrite=engine.overwrite,
    )
    return launch_slides(tiling, recipe, engine)
