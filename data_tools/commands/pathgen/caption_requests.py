"""``pathdata pathgen caption-requests``: write the captioning of patches as batch files."""

from __future__ import annotations

import argparse
from pathlib import Path

from pathplugins.core.errors import PathPluginsError

from ...captioning.batch import PART_MB, PART_REQUESTS, write_requests
from ...captioning.rows import check_rows, good_rows, manifest_of
from ...captioning.stages import read_stages
from ...engine.progress import bars, say
from .caption import PROMPTS, add_source_options, request_options


def add_options(sub: argparse.ArgumentParser) -> None:
    """What it takes."""
    add_source_options(sub)
    sub.add_argument("--prompt", default="describe", help=f"what is asked (default %(default)s): {PROMPTS}")
    sub.add_argument("--model", default="gpt-4o", metavar="NAME", help="who is asked (default %(default)s)")
    sub.add_argument(
        "--out", type=Path, required=True, metavar="FILE.jsonl", help="gets the requests; FILE-2.jsonl ... the rest"
    )
    sub.add_argument(
        "--part-requests", type=int, default=PART_REQUESTS, metavar="N", help="in a file (default %(default)s)"
    )
    sub.add_argument("--part-mb", type=float, default=PART_MB, metavar="MB", help="of a file (default %(default)s)")


def run(args: argparse.Namespace) -> int:
    """Do it; returns the exit code."""
    manifest = manifest_of(args.source)
    if args.part_requests < 1 or args.part_mb <= 0:
        raise PathPluginsError("--part-requests and --part-mb must be above 0")
    (stage,) = read_stages([args.prompt], args.text_only.split(","))
    rows = check_rows(manifest, [stage])
    with bars() as bar:
        parts = write_requests(
            bar.track(good_rows(manifest), total=rows, description="requests"),
            stage,
            args.out,
            model=args.model,
            options=request_options(args),
            part_requests=args.part_requests,
            part_mb=args.part_mb,
        )
    say(f"{rows} rows in {len(parts)} file{'s' * (len(parts) > 1)}: {', '.join(map(str, parts[:10]))}")
    say(f"their results: pathdata pathgen caption {args.source} --responses RESULTS --stages {args.prompt} --out ...")
    return 0
