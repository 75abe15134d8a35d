"""``pathdata pathgen``: PathGen-1.6M, from its JSON to training data, and its pipeline on slides of your own."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable, Sequence
from typing import Any

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
    steps = sub.add_subparsers(dest="step", required=True, metavar="STEP")
    for name, help_text in STEPS.items():
        step = steps.add_parser(name, help=help_text, description=help_text)
        step.parse_known_args = _loaded_when_used(step, name)  # type: ignore[method-assign]


def run(args: argparse.Namespace) -> int:
    """Run the step; returns the exit code."""
    return args.run_step(args)


def _loaded_when_used(step: argparse.ArgumentParser, name: str) -> Callable[..., Any]:
    """Return a ``parse_known_args`` that first loads the module of a step and adds its options."""
    usual = step.parse_known_args

    def parse(words: Sequence[str] | None = None, namespace: argparse.Namespace | None = None) -> Any:
        module = importlib.import_module(f".{name.replace('-', '_')}", __package__)
        module.add_options(step)
        step.set_defaults(run_step=module.run)
        return usual(words, namespace)

    return parse
