"""Pools: the places where slides are done. A pool takes one slide per free worker and returns results as they come.

``HerePool`` is this process; ``ProcessPool`` is processes of this machine, one of which may die without stopping the
others; Ray's is in ``ray_pool``. All run the same `SlideWorker` on the same `Recipe`, so all write the same files.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
import signal
import sys
import threading
from collections.abc import Iterator
from multiprocessing.connection import Connection, wait
from types import TracebackType
from typing import Any, Protocol

from pathplugins.core.errors import MissingDependencyError, PathPluginsError

from .jobs import Recipe, SlideJob, SlideWorker, Tell, died
from .state import Result

_STOP_S = 20.0  #: time for a worker to remove the files that it has half-written


class Pool(Protocol):
    """A place where slides are done, as `run.run_jobs` uses it."""

    free: int
    """Number of workers without a slide."""

    def submit(self, job: SlideJob) -> None:
        """Give a slide to a free worker."""

    def results(self, tell: Tell, timeout_s: float) -> Iterator[tuple[SlideJob, Result]]:
        """Yield the slides that ended, after waiting for at most ``timeout_s`` seconds.

        Args:
            tell: Called with the progress of slides that are being done.
            timeout_s: The longest time to wait for a slide to end.
        """

    def __enter__(self) -> Pool:
        """Start the workers."""

    def __exit__(self, *raised: Any) -> None:
        """Stop them; after an error or an interruption without waiting for their slides."""


class HerePool:
    """Does one slide after the other, in this process."""

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._job: SlideJob | None = None

    @property
    def free(self) -> int:
        """1 without a slide, 0 with one."""
        return int(self._job is None)

    def submit(self, job: SlideJob) -> None:
        """Keep the slide until results are asked for."""
        self._job = job

    def results(self, tell: Tell, timeout_s: float) -> Iterator[tuple[SlideJob, Result]]:
        """Do the slide and yield its result."""
        if (job := self._job) is not None:
            result = self._worker.do(job, tell)
            self._job = None
            yield job, result

    def __enter__(self) -> HerePool:
        self._worker = SlideWorker(self._recipe)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._job = None


class ProcessPool:
    """Processes of this machine, each with an encoder of its own.

    Args:
        recipe: The work on every slide.
        workers: Number of processes.
        devices: Torch's names, one for each worker; None leaves the choice to the recipe.
    """

    def __init__(self, recipe: Recipe, workers: int, devices: list[str] | None = None) -> None:
        self._recipe = recipe
        self._devices = devices or [None] * workers
        self._workers: list[_Process] = []

    @property
    def free(self) -> int:
        """Number of workers without a slide."""
        return sum(worker.job is None for worker in self._workers)

    def submit(self, job: SlideJob) -> None:
        """Send the slide to a free worker."""
        next(worker for worker in self._workers if worker.job is None).start(job)

    def results(self, tell: Tell, timeout_s: float) -> Iterator[tuple[SlideJob, Result]]:
        """Yield what the workers sent, and a failure for the slide of a worker that died, which is replaced."""
        ready = wait([worker.connection for worker in self._workers], timeout_s)
        for index, worker in enumerate(self._workers):
            if worker.connection not in ready:
                continue
            try:
                message = worker.connection.recv()
            except (EOFError, ConnectionError):
                job, exitcode = worker.job, worker.ended()
                self._workers[index] = _Process(self._recipe, self._devices[index])
                self._workers[index].ready()
                if job is not None:
                    yield job, died(job, exitcode)
                continue
            if isinstance(message, Result):
                job, worker.job = worker.job, None
                yield job, message
            else:
                tell(*message)

    def __enter__(self) -> ProcessPool:
        try:
            self._workers = [_Process(self._recipe, device) for device in self._devices]
            for worker in self._workers:
                worker.ready()
        except BaseException:
            self._stop(_STOP_S)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop(_STOP_S)

    def _stop(self, patience_s: float) -> None:
        for worker in self._workers:
            worker.process.terminate() if worker.job else worker.connection.close()
        for worker in self._workers:
            worker.process.join(patience_s)
            worker.process.kill()
            worker.process.join()


class _Process:
    """One worker of a `ProcessPool`, as its parent sees it."""

    def __init__(self, recipe: Recipe, device: str | None) -> None:
        context = multiprocessing.get_context(
            "spawn"
        )  # a forked child has the open slides, but not the threads that read them
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, recipe, device), daemon=True)
        self.process.start()
        theirs.close()  # so that the child's end is the only one, and its death the end of the pipe
        self.job: SlideJob | None = None

    def ready(self) -> None:
        """Wait until the worker has loaded its model; raises the error that kept it from loading."""
        try:
            problem = self.connection.recv()
        except (EOFError, ConnectionError) as error:
            raise PathPluginsError(
                f"a worker ended with exit code {self.ended()} before its first slide; try fewer --workers, memory may "
                "have run out"
            ) from error
        if problem is not None:
            raise problem

    def start(self, job: SlideJob) -> None:
        """Send a slide to the worker."""
        self.job = job
        self.connection.send(job)

    def ended(self) -> int | None:
        """Wait for the end of a worker that died; returns its exit code."""
        self.connection.close()
        self.process.join()
        return self.process.exitcode


def _serve(connection: Connection, recipe: Recipe, device: str | None) -> None:
    """Do slides that come through the pipe and send results back, until the pipe is closed: the main of a worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that temporary files are removed
    problem: Exception | None = None
    try:
        worker = SlideWorker(recipe, device=device)
    except (PathPluginsError, MissingDependencyError) as error:
        problem = error
    try:
        connection.send(problem)
    except ConnectionError:  # the parent has stopped at the problem of an earlier worker
        return
    if problem is not None:
        return
    jobs: queue.SimpleQueue[SlideJob] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(connection, jobs), daemon=True).start()
    while True:
        connection.send(worker.do(jobs.get(), lambda *message: connection.send(message)))


def _listen(connection: Connection, jobs: queue.SimpleQueue[SlideJob]) -> None:
    """Receive jobs. Exit immediately when the parent dies, so that the lock on the slide is released."""
    while True:
        try:
            jobs.put(connection.recv())
        except (EOFError, ConnectionError):
            os._exit(0)
