"""``pathdata pathgen``: PathGen-1.6M, from its JSON to training data, and its pipeline on slides of your own."""

from __future__ import annotations

import argparse

from ..options.steps import add_steps

STEPS = {
    "fetch": "get the published JSON files, or weights, from the Hugging Face hub",
    "manifest": "list the slides that a JSON needs as a GDC manifest",
    "download": "get the slides of a manifest from the GDC, checked",
    "extract": "cut the patches of a JSON from their slides, as image-caption pairs",
    "select": "choose representative patches of slides with CLIP",
    "caption-requests": "write the captioning of patches as a batch file",
    "caption": "caption patches with a vision-language model behind an OpenAI-compatible server",
}
"""In the order in which they are used; each is a module of this package, loaded when it is called for."""


def add_options(sub: argparse.ArgumentParser) -> None:
    """Add the steps; only the step that is called for is loaded."""
    add_steps(sub, STEPS, __package__)


def run(args: argparse.Namespace) -> int:
    """Run the step; returns the exit code."""
    return args.run_step(args)
