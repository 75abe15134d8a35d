"""``pathdata pathgen caption``: caption patches with a vision-language model behind an OpenAI-compatible server."""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path

from pathplugins.core.errors import PathPluginsError

from ...captioning.asking import Asker
from ...captioning.batch import read_results
from ...captioning.cache import AnswerCache
from ...captioning.captions import StageAsker, caption_rows
from ...captioning.client import Client, Count, UnusableServerError
from ...captioning.result_files import ResultFiles
from ...captioning.rows import check_rows, good_rows, manifest_of
from ...captioning.servers import KEY_NAME, ServerOptions, stage_clients
from ...captioning.stages import Stage, read_stages
from ...engine.locks import Held, holding
from ...engine.progress import FAILED, say
from ..options import read_options
from ..options.captioning import PROMPTS, PatchRequestOptions, add_patch_request_options

SERVER_OPTIONS = [option.name for option in fields(ServerOptions) if not option.name.startswith("stage_")]


@dataclass(frozen=True, kw_only=True)
class CaptionOptions(PatchRequestOptions):
    """The patches, the stages, the servers, and the files to write."""

    out: Path
    stages: str = "describe"
    base_url: str | None = None
    model: str | None = None
    stage_model: list[str] = field(default_factory=list)
    stage_url: list[str] = field(default_factory=list)
    stage_key_env: list[str] = field(default_factory=list)
    api_key_env: str | None = None
    responses: list[Path] | None = None
    concurrency: int = 8
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    timeout: float = 120
    retries: int = 6
    retry_refused: bool = False
    price_in: float | None = None
    price_out: float | None = None
    json: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.base_url is None and not self.responses and not self.stage_url:
            raise PathPluginsError("pass --base-url URL of the server to ask, or --responses FILE of a batch")
        if (self.price_in is None) != (self.price_out is None):
            raise PathPluginsError("--price-in and --price-out go together; pass both or neither")
        if self.concurrency < 1:
            raise PathPluginsError(f"--concurrency must be at least 1, got {self.concurrency}")

    def servers(self) -> ServerOptions:
        """Return the servers of the stages.

        Raises:
            PathPluginsError: a value that is not ``STAGE=VALUE``, or a limit that is too low.
        """
        by_stage = {}
        for name in ("stage_model", "stage_url", "stage_key_env"):
            words = [word.partition("=") for word in getattr(self, name)]
            if wrong := [stage + equals for stage, equals, value in words if not stage or not value]:
                raise PathPluginsError(f"--{name.replace('_', '-')} {wrong[0]!r}: expected STAGE=VALUE")
            by_stage[name] = {stage: value for stage, _, value in words}
        return ServerOptions(**by_stage, **{name: getattr(self, name) for name in SERVER_OPTIONS})

    def cost(self, count: Count) -> float | None:
        """Return the cost of all tokens; None without prices."""
        if self.price_in is None or self.price_out is None:
            return None
        return (count.prompt_tokens * self.price_in + count.completion_tokens * self.price_out) / 1e6


def add_options(sub: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add_patch_request_options(sub)
    sub.add_argument("--stages", default="describe", help=f"prompts in their order, commas between: {PROMPTS}")
    sub.add_argument("--out", type=Path, required=True, metavar="FILE", help="gets the rows with their captions")
    sub.add_argument(
        "--responses", type=Path, nargs="+", metavar="FILE", help="results of the batch files of caption-requests"
    )
    _add_server_options(sub)
    sub.add_argument("--concurrency", type=int, default=8, metavar="N", help="patches at a time (default %(default)s)")
    sub.add_argument("--retry-refused", action="store_true", help="ask again about patches refused in an earlier run")
    sub.add_argument("--price-in", type=float, metavar="P", help="price of a million prompt tokens, for the cost")
    sub.add_argument("--price-out", type=float, metavar="P", help="price of a million completion tokens")
    sub.add_argument("--json", action="store_true", help="one line of JSON on stdout: counts, tokens, cost")


def _add_server_options(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--base-url", metavar="URL", help="the server, usually http://HOST:PORT/v1")
    sub.add_argument("--model", metavar="NAME", help="as the server calls it")
    for name, what in (("model", "another model"), ("url", "another server"), ("key-env", "the key of that server")):
        sub.add_argument(
            f"--stage-{name}", action="append", default=[], metavar="STAGE=VALUE", help=f"{what} for this stage"
        )
    sub.add_argument(
        "--api-key-env", metavar="NAME", help=f"the environment variable with the key (default {KEY_NAME}, if set)"
    )
    sub.add_argument("--requests-per-minute", type=float, metavar="N", help="at most, per server")
    sub.add_argument("--tokens-per-minute", type=float, metavar="N", help="at most, per server")
    sub.add_argument("--timeout", type=float, default=120, metavar="S", help="for a reply (default %(default)s)")
    sub.add_argument(
        "--retries", type=int, default=6, metavar="N", help="after busy or failing servers (default %(default)s)"
    )


def run(args: argparse.Namespace) -> int:
    """Caption the patches; returns the exit code."""
    options = read_options(args, CaptionOptions)
    started, manifest = time.monotonic(), manifest_of(options.source)
    stages = read_stages(options.stages.split(","), options.without_image())
    store = options.out.with_name(f"{options.out.name}.cache")
    if options.out.exists() and (options.out.samefile(manifest) or not store.is_dir()):
        raise PathPluginsError(f"--out {options.out} exists and was not written by this command; choose another name")
    count, stop = Count(), threading.Event()
    clients = stage_clients(options.servers(), [stage.name for stage in stages], count, stop)
    rows = check_rows(manifest, stages)
    with (
        _one_writer(store / "lock", options.out),
        AnswerCache(store / "answers.sqlite") as cache,
        ResultFiles(options.out) as results,
    ):
        askers = _askers(options, stages, clients, cache, count)
        try:
            caption_rows(good_rows(manifest), askers, results, total=rows, threads=options.concurrency, stop=stop)
        except UnusableServerError as error:
            kept = "; the answers so far are kept: run the same command to continue" if count.requests else ""
            raise PathPluginsError(f"{error}{kept}") from error
    return _report(options, results, count, seconds=time.monotonic() - started)


def _askers(
    options: CaptionOptions,
    stages: Sequence[Stage],
    clients: Sequence[tuple[str, Client | None]],
    cache: AnswerCache,
    count: Count,
) -> list[StageAsker]:
    """Return the asker of each stage, after reading the results of a batch into the cache."""
    errors: dict[str, str] | None = None
    if options.responses:
        errors = {}
        answers = cache.replace_results(read_results(options.responses, errors, count))
        say(f"{answers} answers and {len(errors)} errors in the results")
    request = options.request()
    return [
        StageAsker(stage, Asker(model, request, cache, client, count, errors, options.retry_refused))
        for stage, (model, client) in zip(stages, clients, strict=True)
    ]


@contextmanager
def _one_writer(lock: Path, out: Path) -> Iterator[None]:
    """Let one run at a time write ``out``."""
    with ExitStack() as stack:
        try:
            stack.enter_context(holding(lock))
        except Held as error:
            raise PathPluginsError(f"--out {out} is being written by {error.holder}; wait for it") from error
        yield


def _report(options: CaptionOptions, results: ResultFiles, count: Count, *, seconds: float) -> int:
    """Print the counts and the cost; return the exit code."""
    written = (options.out, results.refused_path, results.failed_path)
    captioned, refused, failed = (results.counts[path] for path in written)
    cost = options.cost(count)
    if options.json:
        told = {"captioned": captioned, "refused": refused, "failed": failed, **count.to_json(), "cost": cost}
        sys.stdout.write(f"{json.dumps({**told, 'seconds': round(seconds, 3), 'out': str(options.out)})}\n")
    if report := results.report():
        say(report)
    unsure = f", {count.uncounted} replies do not report theirs" if count.uncounted else ""
    priced = "" if cost is None else f"; cost {cost:.4f}"
    say(
        f"{count.requests} replies ({count.repeated} tries repeated), {count.known} answers were in the cache; "
        f"{count.prompt_tokens} + {count.completion_tokens} tokens{unsure}{priced}"
    )
    say(f"{options.out}: {captioned} captions; {refused} refused, {failed} failed")
    return FAILED if refused or failed else 0
