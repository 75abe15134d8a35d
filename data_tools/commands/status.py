"""``pathdata status``: report which slides of a work folder are done, failed or left, and the time to go."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from pathplugins.core.counted import counted
from pathplugins.core.errors import PathPluginsError
from pathplugins.core.nearest import near_path

from ..engine.progress import FAILED
from ..engine.state import StateFolder, Status, commands_of
from .options import read_options


@dataclass(frozen=True, kw_only=True)
class StatusOptions:
    """Which folder is reported on, and in which form."""

    folder: Path
    """A work folder."""
    json: bool
    """Print JSON instead of sentences."""


def add_options(sub: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    sub.add_argument("folder", type=Path, metavar="DIR", help="the --out of pathdata patch or run")
    sub.add_argument("--json", action="store_true", help="print the status as JSON")


def run(args: argparse.Namespace) -> int:
    """Print where every command stands; returns 1 if a slide has failed."""
    options = read_options(args, StatusOptions)
    folder = options.folder
    if not folder.is_dir():
        raise PathPluginsError(f"{folder}: no such folder{near_path(folder)}; pass the --out of pathdata patch or run")
    statuses = [status for name in commands_of(folder) if (status := StateFolder(folder, name).status())]
    if not statuses:
        raise PathPluginsError(f"{folder}: nothing was started here; pass the --out of pathdata patch or run")
    if options.json:
        sys.stdout.write(f"{json.dumps([status.to_json() for status in statuses])}\n")
    else:
        sys.stdout.write("\n".join(map(_text, statuses)))
    return FAILED if any(status.failed for status in statuses) else 0


def _text(status: Status) -> str:
    """Return a paragraph on one command."""
    counts = f"{status.done} of {status.slides} slides done, {len(status.failed)} failed, {status.left} left"
    lines = [f"{status.command}: {counts}; {counted(status.patches, 'patch')}"]
    if status.patches_per_second is not None:
        to_go = f", {_clock(status.seconds_to_go)} to go" if status.left and status.seconds_to_go is not None else ""
        lines.append(f"  {status.patches_per_second:.1f} patches/s{to_go}")
    lines += [f"  working on {slide_id}: {holder}" for slide_id, holder in status.working.items()]
    lines += [f"  failed {slide_id}: {reason}" for slide_id, reason in status.failed.items()]
    return "".join(f"{line}\n" for line in lines)


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
