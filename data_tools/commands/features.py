"""``pathdata features``: encode the patches of every slide into a feature bag."""

from __future__ import annotations

import argparse
from pathlib import Path

from tqdm import tqdm

from pathplugins.core.errors import PathPluginsError

from ..outputs import Outcome
from ..progress import each_slide


def add_options(sub: argparse.ArgumentParser) -> None:
    """What it takes."""
    sub.add_argument("folder", type=Path, metavar="DIR", help="the --out of pathdata patch")
    sub.add_argument("--encoder", required=True, metavar="NAME|PATH", help="see pathdata encoders")
    sub.add_argument("--out", type=Path, help="folder of the bags; DIR/bags unless given")
    weights = sub.add_mutually_exclusive_group()
    weights.add_argument("--weights", type=Path, metavar="FILE", help="local checkpoint (.safetensors or torch)")
    weights.add_argument("--random-weights", type=int, metavar="SEED", help="untrained, for a trial run")
    weights.add_argument("--download", action="store_true", help="fetch the published weights")
    sub.add_argument("--slides", type=Path, metavar="FOLDER", help="where the slides are, if they moved")
    sub.add_argument("--batch-size", type=int, default=64, help="patches per step of the encoder (default %(default)s)")
    sub.add_argument("--readers", type=int, default=4, help="threads that read patches (default %(default)s)")
    sub.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1 ... (default %(default)s)")
    sub.add_argument(
        "--dtype",
        choices=("float16", "float32"),
        default="float16",
        help="of the features on disk (default %(default)s)",
    )
    sub.add_argument("--overwrite", action="store_true", help="redo slides that are done")


def run(args: argparse.Namespace) -> int:
    """Do it; returns the exit code."""
    from ..encoding import EncoderChoice, load_encoder
    from ..features import FeatureOptions, encode_slide

    files = sorted((args.folder / "coords").glob("*.h5"))
    if not files:
        raise PathPluginsError(
            f"{args.folder}: no coords/*.h5 in it; run pathdata patch SLIDE... --out {args.folder} first"
        )
    options = FeatureOptions(
        batch_size=args.batch_size, dtype=args.dtype, readers=args.readers, slides_folder=args.slides
    )
    encoder = load_encoder(
        EncoderChoice(
            name=args.encoder,
            weights=args.weights,
            random_seed=args.random_weights,
            download=args.download,
            device=args.device,
        )
    )
    out = args.out or args.folder / "bags"

    def encode(coords_path: Path) -> Outcome:
        with tqdm(unit="patch", desc=coords_path.stem, leave=False, disable=None, position=1) as bar:
            return encode_slide(
                coords_path,
                out,
                encoder,
                options,
                overwrite=args.overwrite,
                on_start=bar.reset,
                on_batch=bar.update,
            )

    return each_slide(files, encode, args.folder)
