"""``pathdata``: the command line of the data tools."""

from __future__ import annotations

import argparse
import importlib
import sys

from pathplugins.core.command_line import Parser, output_of
from pathplugins.core.disks import refusals_in_words
from pathplugins.core.errors import MissingDependencyError, PathPluginsError

COMMANDS = {
    "patch": "find tissue on slides and cut it into patches",
    "features": "encode the patches of every slide into a feature bag",
    "run": "patch and encode in one go, without patch files on disk",
    "pool": "bags -> a fixed number of slide-encoder tokens each, as the official WSI-LLaVA reads them",
    "probe": "tell by cross validation how well labels of slides are seen in their bags",
    "status": "report which slides of a work folder are done, failed (and why) or left",
    "inspect": "name the kind and convention of bags and coordinate files, and every fault in them",
    "convert": "turn one data format into another: conversations, or the features of other tools into bags",
    "clean": "score image-caption pairs, keep those that pass thresholds or stand on a published list",
    "split": "divide a table, JSON samples or a folder of bags into train, valid and test, no slide or patient in two",
    "table": "join the labels of slides with their bags to training tables, divided by patient",
    "pathgen": "PathGen-1.6M: slides, image-caption pairs, representative patches, captions",
    "patchtcga": "PTCGA200, PCam200, SegPANDA200: unpack, inspect and divide labelled patches",
    "crop": "cut the middle out of pictures, so that they have another resolution and size",
    "zero-shot": "classify images with a CLIP and words alone",
    "formats": "list the slide formats, what reads each, and what is not read",
    "encoders": "list the patch encoders that have a preset",
    "demo-slide": "write a made-up slide to try things with",
}
"""Name -> help. Each is a module of ``commands`` with ``add_options(parser)`` and ``run(args) -> int``."""

ELSEWHERE = {"pool": "pathplugins.commands.pool", "probe": "pathplugins.commands.probe"}
"""Commands that run a model: no part of this package, which knows none; each is imported when it is called for."""


def main(argv: list[str] | None = None) -> int:
    """Run ``pathdata``.

    Returns:
        0 if all went well, 1 if a slide failed or bad rows stopped a conversion, 2 if nothing could be started, or
        the disk refused.
    """
    argv = sys.argv[1:] if argv is None else argv
    args = _parser(argv).parse_args(argv)
    try:
        with refusals_in_words(output_of(args)):
            return args.run(args)
    except (PathPluginsError, MissingDependencyError) as error:
        from .engine.progress import MISUSED, say  # `rich`, which takes twice as long to import as all else here

        say(f"{_called(args)}: error: {error}")
        return MISUSED
    except KeyboardInterrupt:
        from .engine.progress import INTERRUPTED, say

        say(f"{_called(args)}: stopped; nothing is half-written, run the same command to continue")
        return INTERRUPTED


def _called(args: argparse.Namespace) -> str:
    """Return the words that name the command, e.g. ``pathdata pathgen extract``."""
    return " ".join(filter(None, ("pathdata", args.command, getattr(args, "step", None))))


def _parser(argv: list[str]) -> Parser:
    """Build the parser; only the command that is called for is imported and knows its options."""
    parser = Parser(
        prog="pathdata",
        description="From slides to patches to feature bags, and from published data sets to training files.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, help_text in COMMANDS.items():
        sub = commands.add_parser(name, help=help_text, description=help_text)
        if name in argv[:1]:
            module = importlib.import_module(ELSEWHERE.get(name, f".commands.{name.replace('-', '_')}"), __package__)
            module.add_options(sub)
            sub.set_defaults(run=module.run)
    return parser
