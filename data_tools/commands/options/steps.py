"""Steps of a command: subcommands, each a module of the command's package that is loaded when it is called for."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def add_steps(sub: argparse.ArgumentParser, steps: Mapping[str, str], package: str) -> None:
    """Add a subcommand for each step, name -> help; only the one that is called for is loaded.

    Its module ``package.<name>`` has ``add_options(parser)`` and ``run(args) -> int``; the latter becomes
    ``args.run_step``.
    """
    subcommands = sub.add_subparsers(dest="step", required=True, metavar="STEP")
    for name, help_text in steps.items():
        step = subcommands.add_parser(name, help=help_text, description=help_text)
        step.parse_known_args = _loaded_when_used(step, name, package)  # type: ignore[method-assign]


def _loaded_when_used(step: argparse.ArgumentParser, name: str, package: str) -> Callable[..., Any]:
    """Return a ``parse_known_args`` that first loads the module of a step and adds its options."""
    usual = step.parse_known_args

    def parse(words: Sequence[str] | None = None, namespace: argparse.Namespace | None = None) -> Any:
        module = importlib.import_module(f".{name.replace('-', '_')}", package)
        module.add_options(step)
        step.set_defaults(run_step=module.run)
        return usual(words, namespace)

    return parse
