"""``pathplugins demo``: train and ask a tiny model on CPU, with the commands a user would type."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

from pathplugins.core.errors import PathPluginsError

FOLDERS = {"wsi": "demo"} | {name: f"demo-{name}" for name in ("pallava", "pathgen", "patchtcga", "features")}
"""Demo, a module of this package -> the folder it works in unless told otherwise."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``pathplugins demo``."""
    parser.add_argument(
        "what",
        nargs="?",
        choices=FOLDERS,
        default="wsi",
        help="slides in LLaMA-Factory, images in XTuner, patches of slides in LLaMA-Factory, labelled patches, "
        "features of any encoder",
    )
    parser.add_argument("--slide", type=Path, help="ask about this slide instead of a drawn one (any OpenSlide format)")
    parser.add_argument("--out", type=Path, help=f"folder for all files (default: {', '.join(FOLDERS.values())})")


def run(args: argparse.Namespace) -> int:
    """Run the demo that was asked for."""
    if args.slide is not None and args.what != "wsi":
        raise PathPluginsError(f"--slide is for `pathplugins demo wsi`; {args.what} draws its own, leave --slide out")
    out = args.out or Path(FOLDERS[args.what])
    demo = importlib.import_module(f"{__name__}.{args.what}")
    demo.run(out, *([args.slide] if args.what == "wsi" else []))
    return 0
