"""``pathdata features``: encode the patches of every slide into a feature bag."""

from __future__ import annotations

import argparse
from pathlib import Path

from pathplugins.core.errors import PathPluginsError

from ..encoders.bag_recipe import BagJob, BagRecipe
from ..encoders.encode_slide import FeatureOptions
from ..encoders.encoder import EncoderChoice
from ..engine.launch import add_engine_options, launch


def add_options(sub: argparse.ArgumentParser) -> None:
    """What it takes."""
    sub.add_argument("folder", type=Path, metavar="DIR", help="the --out of pathdata patch")
    sub.add_argument("--out", type=Path, help="folder of the bags; DIR/bags unless given")
    sub.add_argument(
        "--slides", dest="slides_folder", type=Path, metavar="FOLDER", help="where the slides are, if they moved"
    )
    add_encoding_options(sub)
    add_engine_options(sub)


def add_encoding_options(sub: argparse.ArgumentParser) -> None:
    """Which encoder, its weights, and how its features are made."""
    options = FeatureOptions()
    sub.add_argument("--encoder", required=True, metavar="NAME|PATH", help="see pathdata encoders")
    weights = sub.add_mutually_exclusive_group()
    weights.add_argument("--weights", type=Path, metavar="FILE", help="local checkpoint (.safetensors or torch)")
    weights.add_argument("--random-weights", type=int, metavar="SEED", help="untrained, for a trial run")
    weights.add_argument("--download", action="store_true", help="fetch the published weights")
    sub.add_argument(
        "--batch-size",
        type=int,
        default=options.batch_size,
        help="patches per step of the encoder (default %(default)s)",
    )
    sub.add_argument(
        "--readers", type=int, default=options.readers, help="threads that read patches (default %(default)s)"
    )
    sub.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 ... (default %(default)s)")
    sub.add_argument(
        "--dtype",
        choices=("float16", "float32"),
        default=options.dtype,
        help="of the features on disk (default %(default)s)",
    )


def encoder_choice(args: argparse.Namespace) -> EncoderChoice:
    """What was asked for."""
    return EncoderChoice(
        name=args.encoder,
        weights=args.weights,
        random_seed=args.random_weights,
        download=args.download,
        device=args.device,
    )


def feature_options(args: argparse.Namespace, slides_folder: Path | None = None) -> FeatureOptions:
    """What was asked for."""
    return FeatureOptions(
        batch_size=args.batch_size,
        dtype=args.dtype,
        readers=args.readers,
        slides_folder=slides_folder,
    )


def run(args: argparse.Namespace) -> int:
    """Do it; returns the exit code."""
    files = sorted((args.folder / "coords").glob("*.h5"))
    if not files:
        raise PathPluginsError(
            f"{args.folder}: no coords/*.h5 in it; run pathdata patch SLIDE... --out {args.folder} first"
        )
    recipe = BagRecipe(
        command="features",
        work=args.folder,
        bags=args.out or args.folder / "bags",
        encoder=encoder_choice(args),
        features=feature_options(args, args.slides_folder),
        overwrite=args.overwrite,
    )
    return launch(args, [BagJob(slide_id=path.stem, slide=path) for path in files], recipe)
