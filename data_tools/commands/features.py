"""``pathdata features``: encode the patches of every slide into a feature bag."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.nearest import near_path

from ..encoders.bag_recipe import BagJob, BagRecipe
from ..engine.launch import launch
from .options import read_options
from .options.engine import EngineOptions, add_engine_options
from .options.models import EncodingOptions, add_encoding_options


@dataclass(frozen=True, kw_only=True)
class FeaturesOptions:
    """Which patches are encoded, and where their slides are."""

    folder: Path
    """The work folder of ``pathdata patch``."""
    out: Path | None
    """Folder of the bags; None is ``bags`` in the work folder."""
    slides_folder: Path | None
    """Where the slides are, if they moved."""


def add_options(sub: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    sub.add_argument("folder", type=Path, metavar="DIR", help="the --out of pathdata patch")
    sub.add_argument("--out", type=Path, help="folder of the bags; DIR/bags unless given")
    sub.add_argument(
        "--slides", dest="slides_folder", type=Path, metavar="FOLDER", help="where the slides are, if they moved"
    )
    add_encoding_options(sub)
    add_engine_options(sub)


def run(args: argparse.Namespace) -> int:
    """Encode the patches; returns the exit code."""
    options, engine = read_options(args, FeaturesOptions), read_options(args, EngineOptions)
    encoding = read_options(args, EncodingOptions)
    if not options.folder.is_dir():
        raise PathPluginsError(
            f"{options.folder}: no such folder{near_path(options.folder)}; run pathdata patch SLIDE... --out "
            f"{options.folder} first"
        )
    files = sorted((options.folder / "coords").glob("*.h5"))
    if not files:
        raise PathPluginsError(
            f"{options.folder}: no coords/*.h5 in it; run pathdata patch SLIDE... --out {options.folder} first"
        )
    recipe = BagRecipe(
        command="features",
        work=options.folder,
        bags=options.out or options.folder / "bags",
        encoder=encoding.choice(),
        features=encoding.features(options.slides_folder),
        overwrite=engine.overwrite,
    )
    jobs = [BagJob(slide_id=path.stem, slide=path) for path in files]
    return launch(jobs, recipe, engine, summary_to=engine.summary_to)
