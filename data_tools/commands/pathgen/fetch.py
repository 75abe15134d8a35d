"""``pathdata pathgen fetch``: get the published files of PathGen from the Hugging Face hub."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from pathplugins.core.counted import counted
from pathplugins.core.errors import PathPluginsError
from pathplugins.published.pathgen import REPOSITORIES

from ...engine.progress import FAILED, say
from ...pathgen.sources.hub import Hub
from ...pathgen.sources.terms import agree
from ..options import read_options


@dataclass(frozen=True, kw_only=True)
class FetchOptions:
    """Which files to fetch, from where, and the folder they go to."""

    out: Path
    what: str = "captions"
    files: list[str] | None = None
    endpoint: str | None = None
    yes: bool = False


def add_options(sub: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    sub.epilog = (
        "Interrupted downloads of large files are resumed. Each file is compared with the checksum the hub records, "
        "also one that exists already. Without a network nothing has to be fetched: steps take paths to files."
    )
    sub.add_argument("--out", type=Path, required=True, metavar="DIR", help="gets the files, under their own names")
    sub.add_argument(
        "--what",
        choices=REPOSITORIES,
        default="captions",
        help=", ".join(f"{name}: {source.repository}" for name, source in REPOSITORIES.items())
        + " (default %(default)s)",
    )
    sub.add_argument(
        "--files", action="append", metavar="PATTERN", help="these files instead of all JSON (or weights), e.g. '*.zip'"
    )
    sub.add_argument("--endpoint", metavar="URL", help="address of the hub (default: HF_ENDPOINT, or huggingface.co)")
    sub.add_argument("--yes", action="store_true", help="agree to the terms that are shown, without being asked")


def run(args: argparse.Namespace) -> int:
    """Fetch the files; returns the exit code."""
    options = read_options(args, FetchOptions)
    source = REPOSITORIES[options.what]
    agree(source.terms(), yes=options.yes)
    hub = Hub(source, options.endpoint)
    files = hub.files(options.files or ())
    total = sum(file.size for file in files)
    say(f"{source.repository} at {hub.revision}: {counted(len(files), 'file')}, {total / 1e6:.1f} MB")
    options.out.mkdir(parents=True, exist_ok=True)
    failures = []
    for file in files:
        try:
            path = hub.fetch(file, options.out)
        except PathPluginsError as error:
            failures.append(f"  {error}")
            continue
        say(f"{path}: {file.size} bytes, {file.kind_of_sum} {file.wanted_sum} as the hub records")
    if failures:
        say("\n".join([f"{len(failures)} of {len(files)} files failed; run the same command again:", *failures]))
        return FAILED
    return 0
