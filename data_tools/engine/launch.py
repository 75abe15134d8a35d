"""Launch: do the slides of a command as its options say, with a report and an exit code."""

from __future__ import annotations

import json
import math
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TextIO

from pathplugins.core.counted import counted
from pathplugins.core.disks import check_writable
from pathplugins.core.errors import PathPluginsError
from pathplugins.core.optional import need

from .areas import Areas, mean_areas
from .jobs import Recipe, SlideJob
from .pools import HerePool, Pool, ProcessPool
from .progress import FAILED, Board, say
from .run import Summary, run_jobs
from .state import StateFolder


@dataclass(frozen=True, kw_only=True)
class LaunchOptions:
    """How many slides are done at a time, and where."""

    workers: int | None = None
    """Slides done side by side; None is one for each GPU, or 1, or the cores for a recipe without a model."""
    engine: Literal["local", "ray"] = "local"
    """This machine, or a Ray cluster."""
    address: str | None = None
    """Address of the Ray cluster: ``auto`` or ``HOST:PORT``; None starts one here."""
    dry_run: bool = False
    """Report what would be done, and do nothing."""

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise PathPluginsError(f"--workers must be at least 1, got {self.workers}")


def launch(
    jobs: Sequence[SlideJob],
    recipe: Recipe,
    options: LaunchOptions,
    *,
    summary_to: TextIO | None = None,
    on_summary: Callable[[Summary], None] | None = None,
) -> int:
    """Do the slides as the options say, and report the failures.

    Args:
        jobs: The slides.
        recipe: What is done to each.
        options: How many at a time, and where.
        summary_to: Receives the summary, or what a dry run would do, as a line of JSON; None prints none.
        on_summary: Called with the summary, not after a dry run.

    Returns:
        The exit code.
    """
    if options.dry_run:
        return _dry_run(jobs, recipe, summary_to)
    for folder in {recipe.work, *(recipe.result_path(job.slide_id).parent for job in jobs)}:
        check_writable(folder)
    before = signal.signal(signal.SIGTERM, _interrupt)  # how a batch system ends a job; nothing must stay half-written
    try:
        pool, recipe = _pool(options, recipe, slides=len(jobs))
        summary = run_jobs(jobs, recipe, pool, Board(len(jobs)))
    finally:
        signal.signal(signal.SIGTERM, before)
    if summary_to is not None:
        summary_to.write(f"{json.dumps(summary.to_json())}\n")
    code = _report(summary, recipe, slides=len(jobs))
    if on_summary is not None:
        on_summary(summary)  # after the report: what it writes may be refused
    return code


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _pool(options: LaunchOptions, recipe: Recipe, *, slides: int) -> tuple[Pool, Recipe]:
    """Return the pool, and the recipe with the number of threads that suits the pool."""
    if options.engine == "ray":
        return _ray_pool(options, recipe)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    gpus = _gpus(recipe)
    if gpus:
        workers = min(options.workers or gpus, gpus)
        recipe = recipe.with_readers(math.ceil((options.workers or gpus) / workers))
        return ProcessPool(recipe, workers, [f"cuda:{index}" for index in range(workers)]), recipe
    workers = min(options.workers or (cores if recipe.device is None else 1), max(1, slides))
    if workers == 1:
        return HerePool(recipe), recipe
    recipe = replace(recipe, threads=max(1, cores // workers))
    return ProcessPool(recipe, workers), recipe


def _ray_pool(options: LaunchOptions, recipe: Recipe) -> tuple[Pool, Recipe]:
    from .ray_pool import RayPool

    ray = need("ray", extra="ray")
    try:
        ray.init(address=options.address, log_to_driver=False)
    except ConnectionError as error:
        raise PathPluginsError(
            f"--address {options.address}: no Ray cluster there ({error}); start one with ray start --head"
        ) from error
    cluster = ray.cluster_resources()
    cpus, gpus = cluster.get("CPU", 1.0), cluster.get("GPU", 0.0)
    on_gpus = gpus and recipe.device not in (None, "cpu")
    nodes = sum(node["Alive"] for node in ray.nodes())
    workers = options.workers or int(gpus if on_gpus else cpus if recipe.device is None else nodes)
    if on_gpus:
        workers, readers = min(workers, int(gpus)), math.ceil(workers / gpus)
        return RayPool(recipe.with_readers(readers), workers, cpus=cpus // workers, gpus=1), recipe
    if workers > cpus:
        raise PathPluginsError(f"--workers {workers} are more than the {cpus:g} CPUs of the Ray cluster")
    recipe = replace(recipe, threads=max(1, int(cpus // workers)))
    return RayPool(recipe, workers, cpus=max(1, cpus // workers) if workers > nodes else 1, gpus=0), recipe


def _gpus(recipe: Recipe) -> int:
    """Return the number of GPUs to spread over; 0 where none is wanted, none exists, or one was named."""
    if recipe.device not in ("auto", "cuda"):
        return 0
    return need("torch").cuda.device_count()


def _dry_run(jobs: Sequence[SlideJob], recipe: Recipe, json_to: TextIO | None) -> int:
    """Report for each slide what a run would do, from the files that exist and what they say of their slides."""
    state = StateFolder(recipe.work, recipe.command)
    due = {job.slide_id: _due(job, recipe, state) for job in jobs}
    if json_to is not None:
        json_to.write(f"{json.dumps(due)}\n")
        return 0
    for slide_id, what in due.items():
        say(f"{slide_id}: {what}")
    say(f"{sum(what != 'done' for what in due.values())} of {len(due)} slides would be done; nothing was written")
    return 0


def _due(job: SlideJob, recipe: Recipe, state: StateFolder) -> str:
    """Return where one slide stands, in a few words."""
    exists = recipe.result_path(job.slide_id).exists()
    if exists and recipe.overwrite:
        return "to redo"
    try:
        if not recipe.overwrite:
            recipe.check_same(job)
    except PathPluginsError as error:
        return f"would fail: {error}"
    if exists:
        return "done"
    reason = state.failure(job.slide_id)
    return f"failed before: {reason}" if reason else "to do"


def _report_areas(summary: Summary) -> None:
    found, asked = [Areas.from_json(text) for text in summary.areas.values()], [*summary.questions()]
    some = ", ".join(asked[:10]) + ", ..." * (len(asked) > 10)
    questioned = f"; {len(asked)} to question: {some}" if asked else ""
    say(f"mean of {counted(len(found), 'slide')}: {mean_areas(found).in_words()}{questioned}")


def _report(summary: Summary, recipe: Recipe, *, slides: int) -> int:
    """Say how much of the slides was left out, and what failed; returns the exit code."""
    if summary.areas:
        _report_areas(summary)
    if not summary.failed:
        return 0
    errors = recipe.work / "errors"
    traces = f"; tracebacks are in {errors}" if any(errors.glob("*.txt")) else ""
    say(f"{len(summary.failed)} of {slides} slides failed{traces}:")
    for slide_id, reason in summary.failed.items():
        say(f"  {slide_id}: {reason}")
    if summary.not_started:
        say(f"{summary.not_started} more were not started: they would fail the same way")
    return FAILED
