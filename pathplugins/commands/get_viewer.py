"""``pathplugins get-viewer``: fetch the viewer of slides for the page of ``pathplugins serve``, once."""

from __future__ import annotations

import argparse
import sys

from pathplugins.commands.serve.viewer import NAME, VERSION, get_viewer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument(
        "--from",
        dest="source",
        metavar="FILE|URL",
        help=f"the archive {NAME}-{VERSION}.tgz; from npm's registry, as npm is set up, unless given",
    )


def run(args: argparse.Namespace) -> int:
    """Fetch, check, and print where it is."""
    sys.stdout.write(f"{NAME} {VERSION}: {get_viewer(args.source)}\n")
    return 0
