"""Ray pool: do slides on a Ray cluster, with the same `SlideWorker` as an actor.

The work folder must have the same path on every node (a shared file system), and this package must be installed there.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Any

from pathplugins.core.errors import MissingDependencyError, PathPluginsError
from pathplugins.core.optional import need

from .jobs import Recipe, SlideJob, SlideWorker, Tell
from .state import Result


class RayWorker:
    """The actor: does slides on a node of the cluster."""

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._worker: SlideWorker | None = None

    def ready(self) -> Exception | None:
        """Load the model; an error is returned as a value, because Ray would change its type."""
        try:
            self._worker = SlideWorker(self._recipe)
        except (PathPluginsError, MissingDependencyError) as error:
            return error
        return None

    def do(self, job: SlideJob) -> Result:
        """Do one slide; its progress is not sent to the driver."""
        return self._worker.do(job, lambda *_: None)


class RayPool:
    """Actors of a Ray cluster, each with an encoder of its own, and with a GPU of its own where there are GPUs.

    Args:
        recipe: The work on every slide.
        workers: Number of actors.
        cpus: CPUs of each actor.
        gpus: GPUs of each actor.
    """

    def __init__(self, recipe: Recipe, workers: int, *, cpus: float, gpus: float) -> None:
        self._ray = need("ray", extra="ray")
        self._recipe, self._count = recipe, workers
        self._actor = self._ray.remote(num_cpus=cpus, num_gpus=gpus)(RayWorker)
        self._idle: list[Any] = []
        self._running: dict[Any, tuple[Any, SlideJob]] = {}

    @property
    def free(self) -> int:
        """Number of actors without a slide."""
        return len(self._idle)

    def submit(self, job: SlideJob) -> None:
        """Send the slide to a free actor."""
        actor = self._idle.pop()
        self._running[actor.do.remote(job)] = actor, job

    def results(self, tell: Tell, timeout_s: float) -> Iterator[tuple[SlideJob, Result]]:
        """Yield the slides that ended; if an actor or its node died, its slide failed and a new actor is started."""
        ready, _ = self._ray.wait([*self._running], timeout=timeout_s)
        for reference in ready:
            actor, job = self._running.pop(reference)
            try:
                result = self._ray.get(reference)
            except self._ray.exceptions.RayActorError as error:
                reason = f"its process or node died: {str(error).splitlines()[0]}"
                result = Result(slide_id=job.slide_id, status="failed", reason=reason, trace=str(error))
                self._idle += self._started(1)
            else:
                self._idle.append(actor)
            yield job, result

    def __enter__(self) -> RayPool:
        self._idle = self._started(self._count)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for actor in [*self._idle, *(actor for actor, _ in self._running.values())]:
            self._ray.kill(actor)

    def _started(self, count: int) -> list[Any]:
        actors = [self._actor.remote(self._recipe) for _ in range(count)]
        for problem in self._ray.get([actor.ready.remote() for actor in actors]):
            if problem is not None:
                raise problem
        return actors
