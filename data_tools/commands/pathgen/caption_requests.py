"""``pathdata pathgen caption-requests``: write the captioning of patches as batch files."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from pathplugins.core.counted import counted
from pathplugins.core.errors import PathPluginsError

from ...captioning.batch import PART_MB, PART_REQUESTS, write_requests
from ...captioning.rows import check_rows, good_rows, manifest_of
from ...captioning.stages import read_stages
from ...engine.progress import bars, say
from ..options import read_options
from ..options.captioning import PROMPTS, PatchRequestOptions, add_patch_request_options


@dataclass(frozen=True, kw_only=True)
class BatchOptions:
    """The prompt, the model, and the files to write."""

    out: Path
    prompt: str = "describe"
    model: str = "gpt-4o"
    part_requests: int = PART_REQUESTS
    part_mb: float = PART_MB

    def __post_init__(self) -> None:
        for option, value in (("--part-requests", self.part_requests), ("--part-mb", self.part_mb)):
            if value <= 0:
                raise PathPluginsError(f"{option} must be above 0, got {value:g}; leave it out for OpenAI's limit")


def add_options(sub: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add_patch_request_options(sub)
    sub.add_argument("--prompt", default="describe", help=f"the prompt (default %(default)s): {PROMPTS}")
    sub.add_argument("--model", default="gpt-4o", metavar="NAME", help="the model (default %(default)s)")
    sub.add_argument(
        "--out", type=Path, required=True, metavar="FILE.jsonl", help="gets the requests; FILE-2.jsonl ... the rest"
    )
    sub.add_argument(
        "--part-requests", type=int, default=PART_REQUESTS, metavar="N", help="requests in a file (default %(default)s)"
    )
    sub.add_argument(
        "--part-mb", type=float, default=PART_MB, metavar="MB", help="size of a file (default %(default)s)"
    )


def run(args: argparse.Namespace) -> int:
    """Write the requests; returns the exit code."""
    options, patches = read_options(args, BatchOptions), read_options(args, PatchRequestOptions)
    manifest = manifest_of(patches.source)
    (stage,) = read_stages([options.prompt], patches.without_image())
    rows = check_rows(manifest, [stage])
    with bars() as bar:
        files = write_requests(
            bar.track(good_rows(manifest), total=rows, description="requests"),
            stage,
            options.out,
            model=options.model,
            options=patches.request(),
            part_requests=options.part_requests,
            part_mb=options.part_mb,
        )
    say(f"{counted(rows, 'row')} in {counted(len(files), 'file')}: {', '.join(map(str, files[:10]))}")
    say(
        "when the results are there: "
        f"pathdata pathgen caption {patches.source} --responses RESULTS --stages {options.prompt} --out ..."
    )
    return 0
