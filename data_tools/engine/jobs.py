"""Jobs: take one slide through the steps of a command, in the process that the engine chose.

A job ends in a ``Result``; an error with one slide is part of it and stops no other slide.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pathplugins.core.disks import is_full, is_read_only, refusal
from pathplugins.core.errors import MissingDependencyError, PathPluginsError
from pathplugins.core.optional import need, require

from .locks import Held, holding
from .outcome import Outcome
from .state import Result, StateFolder

Tell = Callable[[str, int, int], None]
"""Called with a slide id, how many of its patches are encoded, and how many it has."""


@dataclass(frozen=True, kw_only=True)
class SlideJob:
    """One slide to do; a recipe that needs more facts about it derives its own class."""

    slide_id: str
    slide: Path
    """The slide, or the file that represents it in this step."""


Steps = Callable[[SlideJob, Tell], Outcome]
"""Does the work on one slide; whatever it raises is the failure of that slide."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The work that is done on every slide; plain values, so that they can be sent to another process."""

    command: str
    """Names the state of the work folder."""
    work: Path
    """The work folder: ``state/``, ``locks/``, ``errors/`` and the files that are made."""
    overwrite: bool = False
    """Redo slides that are done."""
    threads: int | None = None
    """Threads of torch on the CPU; None is torch's own choice. The number may change the last bit of a feature."""

    @property
    def device(self) -> str | None:
        """Torch's name of the model's device (``auto``, ``cpu``, ``cuda:1`` ...); None for a recipe without a model."""
        return None

    @property
    def needs(self) -> dict[str, tuple[str, ...]]:
        """Extra -> optional modules that the steps import; without them the run stops before its first slide."""
        return {}

    def open(self, device: str | None) -> Steps:
        """Load what all slides need, once in each process, and return the steps.

        Args:
            device: The device of this process; None leaves it to the recipe.
        """
        raise NotImplementedError

    def result_path(self, slide_id: str) -> Path:
        """Return the file, or folder, that exists once a slide is done."""
        raise NotImplementedError

    def check_same(self, job: SlideJob) -> None:
        """Raise ``PathPluginsError`` where the result that exists is of another slide; a dry run asks."""

    def with_readers(self, readers: int) -> Recipe:
        """Return a copy with at least ``readers`` reader threads; unchanged for recipes without any."""
        return self


class SlideWorker:
    """Does slides in this process; the model that they all need is loaded once."""

    def __init__(self, recipe: Recipe, *, device: str | None = None) -> None:
        for extra, modules in recipe.needs.items():
            require(*modules, extra=extra)
        self._recipe = recipe
        self._state = StateFolder(recipe.work, recipe.command)
        if recipe.device is not None and recipe.threads is not None:
            need("torch").set_num_threads(recipe.threads)
        self._steps = recipe.open(device)

    def do(self, job: SlideJob, tell: Tell) -> Result:
        """Do one slide, unless another process is doing it."""
        start = time.monotonic()
        try:
            with holding(self._state.lock(job.slide_id)):
                result = self._result(job, tell, start)
                self._state.end(result)
        except Held as held:
            return Result(slide_id=job.slide_id, status="held", reason=str(held.holder))
        except OSError as error:  # the state itself cannot be written
            return _failed(job, error, start, self._recipe.result_path(job.slide_id).parent)
        return result

    def _result(self, job: SlideJob, tell: Tell, start: float) -> Result:
        try:
            outcome = self._steps(job, tell)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one slide must not stop the rest
            return _failed(job, error, start, self._recipe.result_path(job.slide_id).parent)
        return Result(
            slide_id=job.slide_id,
            status=outcome.status,
            patches=outcome.patches,
            notes=outcome.notes,
            areas=outcome.areas,
            seconds=round(time.monotonic() - start, 3),
        )


def died(job: SlideJob, exitcode: int | None) -> Result:
    """Return the result of a slide whose process ended before the slide was done."""
    how = f"was killed by signal {-exitcode}" if exitcode and exitcode < 0 else f"ended with exit code {exitcode}"
    hint = "; memory may have run out: try fewer --workers" if exitcode == -9 else "; the slide file may be damaged"
    return Result(slide_id=job.slide_id, status="failed", reason=f"its process {how}{hint}")


def _failed(job: SlideJob, error: Exception, start: float, folder: Path) -> Result:
    refused = refusal(error, folder)
    ours = isinstance(error, PathPluginsError | MissingDependencyError)
    return Result(
        slide_id=job.slide_id,
        status="failed",
        reason=str(error) if ours else refused or f"{type(error).__name__}: {error}",
        trace=traceback.format_exc(),
        seconds=round(time.monotonic() - start, 3),
        fatal=is_full(error) or is_read_only(error),
    )
