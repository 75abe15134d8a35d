"""``pathdata patchtcga``: PTCGA200, PCam200 and SegPANDA200, from their archives to folders that can be trained on."""

from __future__ import annotations

import argparse

from ..options.steps import add_steps

STEPS = {
    "join": "check and unpack an archive, whole or in the parts in which it is handed out",
    "inspect": "count the classes, slides and parts of a data set and name every fault in it",
    "split": "divide a data set by slide or patient, or take the published folds by file name",
}
"""In the order in which they are used; each is a module of this package, loaded when it is called for."""


def add_options(sub: argparse.ArgumentParser) -> None:
    """Add the steps; only the step that is called for is loaded."""
    add_steps(sub, STEPS, __package__)


def run(args: argparse.Namespace) -> int:
    """Run the step; returns the exit code."""
    return args.run_step(args)
