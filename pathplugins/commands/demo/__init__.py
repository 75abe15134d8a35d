"""``pathplugins demo``: train and ask a tiny model on CPU, with the commands a user would type."""

from __future__ import annotations

import argparse
from pathlib import Path

from pathplugins.core.errors import PathPluginsError

FOLDERS = {"wsi": "demo", "pallava": "demo-pallava", "pathgen": "demo-pathgen", "patchtcga": "demo-patchtcga"}
"""Demo, a module of this package -> the folder it works in unless told otherwise."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``pathplugins demo``."""
    parser.add_argument(
        "what",
        nargs="?",
        choices=FOLDERS,
        default="wsi",
        help="slides in LLaMA-Factory, images in XTuner, patches of slides in LLaMA-Factory, labelled patches",
    )
    parser.add_argument("--slide", type=Path, help="ask about this slide instead of a drawn one (any OpenSlide format)")
    parser.add_argument("--out", type=Path, help=f"folder for all files (default: {', '.join(FOLDERS.values())})")


def run(args: argparse.Namespace) -> int:
    """Run the demo that was asked for."""
    if args.slide is not None and args.what != "wsi":
        raise PathPluginsError(f"--slide is for `pathplugins demo wsi`; {args.what} draws its own, leave --slide out")
    out = args.out or Path(FOLDERS[args.what])
    if args.what == "wsi":
        from pathplugins.commands.demo import wsi

        wsi.run(out, args.slide)
    elif args.what == "pallava":
        from pathplugins.commands.demo import pallava

        pallava.run(out)
    elif args.what == "pathgen":
        from pathplugins.commands.demo import pathgen

        pathgen.run(out)
    else:
        from pathplugins.commands.demo import patchtcga

        patchtcga.run(out)
    return 0
