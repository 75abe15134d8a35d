"""``pathplugins classify``: train patch encoders on labelled patches, and score them."""

from __future__ import annotations

import argparse
import importlib

STEPS = {
    "train": "train by a recipe: supervised, byol, linear, finetune or segment",
    "evaluate": "score a trained run on labelled patches, and write a report",
}
"""Step, a module of this package with ``add_arguments`` and ``run`` -> help."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the steps and their options."""
    steps = parser.add_subparsers(dest="step", required=True, metavar="STEP")
    for name, text in STEPS.items():
        step = steps.add_parser(name, help=text, description=text)
        importlib.import_module(f"{__name__}.{name}").add_arguments(step)


def run(args: argparse.Namespace) -> int:
    """Run the step that was asked for."""
    return importlib.import_module(f"{__name__}.{args.step}").run(args)
