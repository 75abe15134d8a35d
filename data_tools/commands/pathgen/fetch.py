"""``pathdata pathgen fetch``: get the published files of PathGen from the Hugging Face hub."""

from __future__ import annotations

import argparse
from pathlib import Path

from pathplugins.core.errors import PathPluginsError
from pathplugins.published.pathgen import REPOSITORIES

from ...engine.progress import FAILED, say
from ...pathgen.sources.hub import Hub
from ...pathgen.sources.terms import agree


def add_options(sub: argparse.ArgumentParser) -> None:
    """What it takes."""
    sub.epilog = (
        "Large files go on where they were cut off. Each is compared with the sum the hub records, also one that is "
        "there already. Without a network nothing has to be fetched: every step takes a path to the file."
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
    sub.add_argument("--endpoint", metavar="URL", help="of the hub (default: HF_ENDPOINT, or huggingface.co)")
    sub.add_argument("--yes", action="store_true", help="keep to the terms that are shown, without being asked")


def run(args: argparse.Namespace) -> int:
    """Do it; returns the exit code."""
    source = REPOSITORIES[args.what]
    agree(source.terms(), yes=args.yes)
    hub = Hub(source, args.endpoint)
    files = hub.files(args.files or ())
    total = sum(file.size for file in files)
    say(f"{source.repository} at {hub.revision}: {len(files)} files, {total / 1e6:.1f} MB")
    args.out.mkdir(parents=True, exist_ok=True)
    failures = []
    for file in files:
        try:
            path = hub.fetch(file, args.out)
        except PathPluginsError as error:
            failures.append(f"  {error}")
            continue
        say(f"{path}: {file.size} bytes, {file.kind_of_sum} {file.wanted_sum} as the hub says")
    if failures:
        say("\n".join([f"{len(failures)} of {len(files)} files failed:", *failures]))
        return FAILED
    return 0
