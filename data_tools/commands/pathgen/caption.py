"""``pathdata pathgen caption``: caption patches with a vision-language model behind an OpenAI-compatible server."""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from pathplugins.core.errors import PathPluginsError

from ...captioning.asking import Asker, RequestOptions
from ...captioning.batch import read_results
from ...captioning.cache import AnswerCache
from ...captioning.captions import StageAsker, caption_rows
from ...captioning.client import Client, Count, UnusableServerError
from ...captioning.pace import Pace
from ...captioning.result_files import ResultFiles
from ...captioning.rows import check_rows, good_rows, manifest_of
from ...captioning.stages import BUILT_IN, TEXT_ONLY, Stage, read_stages
from ...engine.locks import Held, holding
from ...engine.progress import FAILED, say

KEY_NAME = "OPENAI_API_KEY"
PROMPTS = f"{', '.join(BUILT_IN)}, or NAME=FILE for one of your own"


def add_options(sub: argparse.ArgumentParser) -> None:
    """What it takes."""
    add_source_options(sub)
    sub.add_argument("--stages", default="describe", help=f"what is asked in turn, commas between: {PROMPTS}")
    sub.add_argument("--out", type=Path, required=True, metavar="FILE", help="gets the rows with their captions")
    sub.add_argument("--base-url", metavar="URL", help="the server, usually http://HOST:PORT/v1")
    sub.add_argument("--model", metavar="NAME", help="as the server calls it")
    for name, what in (("model", "another model"), ("url", "another server"), ("key-env", "the key of that server")):
        sub.add_argument(
            f"--stage-{name}", action="append", default=[], metavar="STAGE=VALUE", help=f"{what} for this stage"
        )
    sub.add_argument(
        "--api-key-env", metavar="NAME", help=f"the environment variable with the key (default {KEY_NAME}, if set)"
    )
    sub.add_argument(
        "--responses", type=Path, nargs="+", metavar="FILE", help="results of the batch files of caption-requests"
    )
    sub.add_argument("--concurrency", type=int, default=8, metavar="N", help="patches at a time (default %(default)s)")
    sub.add_argument("--requests-per-minute", type=float, metavar="N", help="at most, per server")
    sub.add_argument("--tokens-per-minute", type=float, metavar="N", help="at most, per server")
    sub.add_argument("--timeout", type=float, default=120, metavar="S", help="for a reply (default %(default)s)")
    sub.add_argument(
        "--retries", type=int, default=6, metavar="N", help="after busy or failing servers (default %(default)s)"
    )
    sub.add_argument("--retry-refused", action="store_true", help="ask again what was refused in an earlier run")
    sub.add_argument("--price-in", type=float, metavar="P", help="of a million prompt tokens, for the cost")
    sub.add_argument("--price-out", type=float, metavar="P", help="of a million completion tokens")
    sub.add_argument("--json", action="store_true", help="one line of JSON on stdout: counts, tokens, cost")


def add_source_options(sub: argparse.ArgumentParser) -> None:
    """Which patches, and how they are asked about; shared with ``caption-requests``."""
    sub.add_argument("source", type=Path, metavar="IN", help="a folder with manifest.jsonl, or such a file")
    sub.add_argument("--temperature", type=float, default=0.0, help="default %(default)g: the likeliest words")
    sub.add_argument("--max-tokens", type=int, default=512, metavar="N", help="of an answer (default %(default)s)")
    sub.add_argument(
        "--body", type=json_object, default={}, metavar="JSON", help="more fields of a request, e.g. '{\"seed\": 1}'"
    )
    sub.add_argument(
        "--text-only",
        default=",".join(TEXT_ONLY),
        metavar="STAGES",
        help="those that get no image, only the text of the stage before (default %(default)s)",
    )


def request_options(args: argparse.Namespace) -> RequestOptions:
    """The options that go into each request."""
    if args.max_tokens < 1:
        raise PathPluginsError(f"--max-tokens must be at least 1, got {args.max_tokens}")
    return RequestOptions(temperature=args.temperature, max_tokens=args.max_tokens, extra=args.body)


def run(args: argparse.Namespace) -> int:
    """Do it; returns the exit code."""
    _check(args)
    started, manifest = time.monotonic(), manifest_of(args.source)
    stages = read_stages(args.stages.split(","), args.text_only.split(","))
    count, stop, store = Count(), threading.Event(), args.out.with_name(f"{args.out.name}.cache")
    if args.out.exists() and (args.out.samefile(manifest) or not store.is_dir()):
        raise PathPluginsError(f"--out {args.out} is there and was not written by this command; choose another name")
    servers = _servers(args, stages, count, stop)
    rows = check_rows(manifest, stages)
    with (
        _alone(store / "lock", args.out),
        AnswerCache(store / "answers.sqlite") as cache,
        ResultFiles(args.out) as outputs,
    ):
        results = _results(args.responses, cache, count) if args.responses else None
        options = request_options(args)
        steps = [
            StageAsker(stage, Asker(model, options, cache, client, count, results, args.retry_refused))
            for stage, (model, client) in zip(stages, servers, strict=True)
        ]
        try:
            caption_rows(good_rows(manifest), steps, outputs, rows=rows, threads=args.concurrency, stop=stop)
        except UnusableServerError as error:
            kept = "; the answers so far are kept: the same command goes on from there" if count.requests else ""
            raise PathPluginsError(f"{error}{kept}") from error
    return _report(args, outputs, count, seconds=time.monotonic() - started)


def _check(args: argparse.Namespace) -> None:
    if args.base_url is None and not args.responses and not args.stage_url:
        raise PathPluginsError("--base-url is needed: the server to ask (or --responses: the results of a batch)")
    if (args.price_in is None) != (args.price_out is None):
        raise PathPluginsError("--price-in and --price-out go together")
    least = {"concurrency": 1, "retries": 0, "timeout": 0.001, "requests_per_minute": 0.001, "tokens_per_minute": 1}
    for name, lowest in least.items():
        value = getattr(args, name)
        if value is not None and value < lowest:
            raise PathPluginsError(f"--{name.replace('_', '-')} must be at least {lowest:g}, got {value:g}")


def _servers(
    args: argparse.Namespace, stages: Sequence[Stage], count: Count, stop: threading.Event
) -> list[tuple[str, Client | None]]:
    """Model and client of each stage; stages with one server and key share a client, and so its limits."""
    names = [stage.name for stage in stages]
    models, urls, keys = (_by_stage(args, name, names) for name in ("stage_model", "stage_url", "stage_key_env"))
    own = args.api_key_env or (KEY_NAME if os.environ.get(KEY_NAME) else None)
    clients: dict[tuple[str, str], Client] = {}
    found = list[tuple[str, Client | None]]()
    for name in names:
        url, model = urls.get(name, args.base_url), models.get(name, args.model)
        if url is None:
            found.append(("", None))
            continue
        if model is None:
            raise PathPluginsError(f"--model is needed for stage {name}: as the server calls it, see URL/models")
        key = _key(keys.get(name, None if name in urls else own))  # a key goes to the server it was given for alone
        if (url, key) not in clients:
            limits = {"requests_per_minute": args.requests_per_minute, "tokens_per_minute": args.tokens_per_minute}
            pace = Pace(stop, **limits)
            clients[url, key] = Client(
                url, key=key, pace=pace, count=count, timeout_s=args.timeout, retries=args.retries
            )
        found.append((model, clients[url, key]))
    return found


def _by_stage(args: argparse.Namespace, name: str, stages: Sequence[str]) -> dict[str, str]:
    option, found = f"--{name.replace('_', '-')}", dict[str, str]()
    for word in getattr(args, name):
        stage, _, value = word.partition("=")
        if stage not in stages or not value:
            raise PathPluginsError(f"{option} {word!r}: expected STAGE=VALUE with a stage of {', '.join(stages)}")
        found[stage] = value
    return found


def _key(variable: str | None) -> str:
    """The key in an environment variable; empty without one."""
    if variable is None:
        return ""
    key = os.environ.get(variable, "").strip()
    if not key or not key.isascii() or not key.isprintable():
        raise PathPluginsError(f"the environment variable {variable} holds no key: it is unset, empty or garbled")
    return key


@contextmanager
def _alone(lock: Path, out: Path) -> Iterator[None]:
    """One run at a time writes ``out``."""
    with ExitStack() as stack:
        try:
            stack.enter_context(holding(lock))
        except Held as error:
            raise PathPluginsError(f"--out {out} is being written by {error.holder}; wait for it") from error
        yield


def _results(files: Sequence[Path], cache: AnswerCache, count: Count) -> dict[str, str]:
    """Put results of a batch into the cache; returns its errors."""
    errors = dict[str, str]()
    answers = cache.replace_results(read_results(files, errors, count))
    say(f"{answers} answers and {len(errors)} errors in the results")
    return errors


def _report(args: argparse.Namespace, outputs: ResultFiles, count: Count, *, seconds: float) -> int:
    """Say what was done; returns the exit code."""
    captioned, refused, failed = (outputs.counts[p] for p in (args.out, outputs.refused_path, outputs.failed_path))
    cost = None
    if args.price_in is not None:
        cost = (count.prompt_tokens * args.price_in + count.completion_tokens * args.price_out) / 1e6
    if args.json:
        told = {"captioned": captioned, "refused": refused, "failed": failed, **count.to_json(), "cost": cost}
        sys.stdout.write(f"{json.dumps({**told, 'seconds': round(seconds, 3), 'out': str(args.out)})}\n")
    if report := outputs.report():
        say(report)
    unsure = f", {count.uncounted} replies do not say theirs" if count.uncounted else ""
    priced = "" if cost is None else f"; cost {cost:.4f}"
    say(
        f"{count.requests} replies ({count.repeated} tries repeated), {count.known} answers were there already; "
        f"{count.prompt_tokens} + {count.completion_tokens} tokens{unsure}{priced}"
    )
    say(f"{args.out}: {captioned} captions; {refused} refused, {failed} failed")
    return FAILED if refused or failed else 0


def json_object(text: str) -> dict[str, Any]:
    """A type of argument."""
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError(text)
    return value
