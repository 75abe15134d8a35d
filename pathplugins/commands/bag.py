"""``pathplugins bag``: make the bag of a slide that a model reads, as ``ask --slide`` does, and print where it is."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from pathplugins.commands.asked_file import asked_file, given_file
from pathplugins.commands.loading import add_encoder_option, load_processor, reads_of
from pathplugins.commands.model_directory import model_directory
from pathplugins.commands.slide_bags import add_slide_options, slide_options_of


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("model", metavar="MODEL", help="composed or trained model directory, or hub id")
    parser.add_argument("--slide", type=Path, required=True, metavar="FILE", help="slide; its features are kept")
    parser.add_argument("--device", default="auto", metavar="NAME", help="of the patch encoder; auto: a GPU if any")
    add_encoder_option(parser)
    add_slide_options(parser)


def run(args: argparse.Namespace) -> int:
    """Make the bag where there is none yet; no model is loaded but the patch encoder."""
    options = slide_options_of(args)
    processor: Any = load_processor(model_directory(args.model), allow_other_encoder=args.allow_other_encoder)
    given = given_file(reads_of(processor), args.model, slide=args.slide)
    file = asked_file(given, processor, options, device=args.device)
    sys.stdout.write(f"{file.path}\n")
    return 0
