"""Engine options: how many slides at a time, where, and what is printed."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from typing import TextIO

from ...engine.launch import LaunchOptions


@dataclass(frozen=True, kw_only=True)
class EngineOptions(LaunchOptions):
    """How the slides of a command are done, and what is printed."""

    json: bool = False
    """Print the summary as JSON on stdout."""
    overwrite: bool = False
    """Redo slides that are done."""

    @property
    def summary_to(self) -> TextIO | None:
        """Where the JSON summary goes; None without ``--json``."""
        return sys.stdout if self.json else None


def add_engine_options(sub: argparse.ArgumentParser) -> None:
    """Add the options of `EngineOptions`."""
    sub.add_argument(
        "--workers",
        type=int,
        help="slides done side by side, each in its own process; with GPUs one process per GPU, and further workers "
        "are its reader threads (default: the number of GPUs, or 1; for patch the number of cores)",
    )
    sub.add_argument("--engine", choices=("local", "ray"), default="local", help="this machine, or a Ray cluster")
    sub.add_argument(
        "--address", help="address of the Ray cluster: auto, or HOST:PORT; without it Ray starts a cluster here"
    )
    sub.add_argument("--dry-run", action="store_true", help="list what would be done, and do nothing")
    sub.add_argument("--json", action="store_true", help="print the summary as JSON on stdout")
    sub.add_argument("--overwrite", action="store_true", help="redo slides that are done")
