"""``pathplugins classify train``: train a patch encoder by a recipe; under torchrun on several GPUs."""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import time
from pathlib import Path

from pathplugins.core.errors import MissingDependencyError, PathPluginsError
from pathplugins.core.optional import require

NEEDED = ("torch", "torchvision", "timm", "transformers", "accelerate", "torchmetrics", "yaml")
NEEDED_BY = {"byol": ("lightly",), "segment": ("segmentation_models_pytorch",)}
PATIENCE_S = 10  #: seconds that other processes give the first one to report an error that all of them found


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``pathplugins classify train``."""
    parser.add_argument("config", type=Path, help="YAML file of a recipe; `pathplugins configs list` names ours")
    parser.add_argument("words", nargs="*", metavar="KEY=VALUE", help="options that replace those of the file")


def run(args: argparse.Namespace) -> int:
    """Train, and print where the run lies and its scores."""
    rank = int(os.environ.get("RANK", "0"))
    logging.basicConfig(level=logging.INFO if rank == 0 else logging.ERROR, format="%(message)s", stream=sys.stderr)
    try:
        require(*NEEDED, extra="patchtcga")
        from pathplugins.classify.settings import read_settings

        settings = read_settings(args.config, args.words)
        require(*NEEDED_BY.get(settings.options.recipe, ()), extra="patchtcga")
        from pathplugins.classify.train import train

        record = train(settings)
    except (PathPluginsError, MissingDependencyError):
        if rank:
            time.sleep(PATIENCE_S)  # torchrun ends this process when the first one has reported the same
        raise
    if rank == 0:
        out = settings.training["output_dir"]
        lines = [f"{part}: {json.dumps(scores)}" for part, scores in record["scores"].items()]
        following = f"pathplugins classify evaluate {out} --data DATA --out REPORT"
        sys.stdout.write("\n".join((f"trained {out}", *lines, f"next: {following}", "")))
    return 0
