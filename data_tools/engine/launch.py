"""Launch: from the options of a command to its slides done, with a report and an exit code."""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace

from pathplugins.core.errors import PathPluginsError

from ..optional import need
from .jobs import Recipe, SlideJob
from .pools import HerePool, Pool, ProcessPool
from .progress import FAILED, Board, say
from .run import Summary, run_jobs
from .state import StateFolder


def add_engine_options(sub: argparse.ArgumentParser) -> None:
    """How many slides at a time, where, and what to say."""
    sub.add_argument(
        "--workers",
        type=int,
        help="slides done side by side, each in a process of its own; with GPUs one process each, the rest are its "
        "reader threads (default: the GPUs, or 1; for patch the cores)",
    )
    sub.add_argument("--engine", choices=("local", "ray"), default="local", help="this machine, or a Ray cluster")
    sub.add_argument("--address", help="of the Ray cluster: auto, HOST:PORT; Ray starts one here unless given")
    sub.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    sub.add_argument("--json", action="store_true", help="print the summary as JSON on stdout")
    sub.add_argument("--overwrite", action="store_true", help="redo slides that are done")


def launch(args: argparse.Namespace, jobs: Sequence[SlideJob], recipe: Recipe) -> int:
    """Do the slides as the options say; returns the exit code."""
    if args.workers is not None and args.workers < 1:
        raise PathPluginsError(f"--workers must be at least 1, got {args.workers}")
    if args.dry_run:
        return _dry_run(jobs, recipe, as_json=args.json)
    before = signal.signal(signal.SIGTERM, _interrupt)  # how a batch system ends a job; nothing must stay half-written
    try:
        pool, recipe = _pool(args, recipe, slides=len(jobs))
        summary = run_jobs(jobs, recipe, pool, Board(len(jobs)))
    finally:
        signal.signal(signal.SIGTERM, before)
    if args.json:
        sys.stdout.write(f"{json.dumps(summary.to_json())}\n")
    return _report(summary, recipe, slides=len(jobs))


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _pool(args: argparse.Namespace, recipe: Recipe, *, slides: int) -> tuple[Pool, Recipe]:
    """The pool, and the recipe with what the pool decides."""
    if args.engine == "ray":
        return _ray_pool(args, recipe)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    gpus = _gpus(recipe)
    if gpus:
        workers = min(args.workers or gpus, gpus)
        recipe = recipe.with_readers(math.ceil((args.workers or gpus) / workers))
        return ProcessPool(recipe, workers, [f"cuda:{index}" for index in range(workers)]), recipe
    workers = min(args.workers or (cores if recipe.device is None else 1), max(1, slides))
    if workers == 1:
        return HerePool(recipe), recipe
    recipe = replace(recipe, threads=max(1, cores // workers))
    return ProcessPool(recipe, workers), recipe


def _ray_pool(args: argparse.Namespace, recipe: Recipe) -> tuple[Pool, Recipe]:
    from .ray_pool import RayPool

    ray = need("ray", extra="ray")
    try:
        ray.init(address=args.address, log_to_driver=False)
    except ConnectionError as error:
        raise PathPluginsError(
            f"--address {args.address}: no Ray cluster there ({error}); start one with ray start --head"
        ) from error
    cluster = ray.cluster_resources()
    cpus, gpus = cluster.get("CPU", 1.0), cluster.get("GPU", 0.0)
    on_gpus = gpus and recipe.device not in (None, "cpu")
    nodes = sum(node["Alive"] for node in ray.nodes())
    workers = args.workers or int(gpus if on_gpus else cpus if recipe.device is None else nodes)
    if on_gpus:
        workers, readers = min(workers, int(gpus)), math.ceil(workers / gpus)
        return RayPool(recipe.with_readers(readers), workers, cpus=cpus // workers, gpus=1), recipe
    if workers > cpus:
        raise PathPluginsError(f"--workers {workers} are more than the {cpus:g} CPUs of the Ray cluster")
    recipe = replace(recipe, threads=max(1, int(cpus // workers)))
    return RayPool(recipe, workers, cpus=max(1, cpus // workers) if workers > nodes else 1, gpus=0), recipe


def _gpus(recipe: Recipe) -> int:
    """GPUs to spread over; 0 where none is wanted, none is there, or one was named."""
    if recipe.device not in ("auto", "cuda"):
        return 0
    return need("torch").cuda.device_count()


def _dry_run(jobs: Sequence[SlideJob], recipe: Recipe, *, as_json: bool) -> int:
    """What there is and what there is to do, from the names of the outputs alone."""
    state, plan = StateFolder(recipe.work, recipe.command), {}
    for job in jobs:
        there = recipe.output(job.slide_id).exists()
        reason = state.failure(job.slide_id)
        plan[job.slide_id] = (
            "to redo"
            if there and recipe.overwrite
            else "done"
            if there
            else f"failed before: {reason}"
            if reason
            else "to do"
        )
    if as_json:
        sys.stdout.write(f"{json.dumps(plan)}\n")
        return 0
    for slide_id, what in plan.items():
        say(f"{slide_id}: {what}")
    say(f"{sum(what != 'done' for what in plan.values())} of {len(plan)} slides would be done; nothing was written")
    return 0


def _report(summary: Summary, recipe: Recipe, *, slides: int) -> int:
    """Say what failed; returns the exit code."""
    if not summary.failed:
        return 0
    say(f"{len(summary.failed)} of {slides} slides failed; tracebacks are in {recipe.work / 'errors'}:")
    for slide_id, reason in summary.failed.items():
        say(f"  {slide_id}: {reason}")
    if summary.not_started:
        say(f"{summary.not_started} more were not started: the disk is full; make room and run the same command")
    return FAILED
