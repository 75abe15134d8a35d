"""Jobs: one slide through the steps of a command, in whatever process the engine chose.

A job ends in a ``Result``; what goes wrong with one slide is part of it and stops no other.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from pathplugins.core.errors import MissingDependencyError, PathPluginsError

from ..encoding import EncoderChoice, PatchEncoder, load_encoder
from ..features import FeatureOptions, encode_slide
from ..grid import TilingSpec
from ..optional import need
from ..outputs import Outcome, disk_is_full
from ..patching import patch_slide
from .locks import Held, holding
from .state import Result, StateFolder

Tell = Callable[[str, int, int], None]
"""Called with a slide id, how many of its patches are encoded, and how many it has."""


@dataclass(frozen=True, kw_only=True)
class SlideJob:
    """One slide."""

    slide_id: str
    slide: Path
    """The slide file; the coordinate file where ``tiling`` is None."""
    tiling: TilingSpec | None = None
    """How it is cut, its own settings included; None if that was done before."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What is done to every slide; plain values, so that they can be sent to another process."""

    command: str
    work: Path
    """The work folder: ``coords/``, ``overlays/``, ``state/`` and the like."""
    bags: Path
    """Folder of the bags."""
    encoder: EncoderChoice | None = None
    """None makes no features."""
    features: FeatureOptions | None = None
    """With an encoder."""
    overwrite: bool = False
    threads: int | None = None
    """Of torch on the CPU; None is torch's own choice. It may decide the last bit of a feature."""


class SlideWorker:
    """Does slides in this process; the encoder is loaded once."""

    def __init__(self, recipe: Recipe, *, device: str | None = None) -> None:
        self.recipe = recipe
        self._state = StateFolder(recipe.work, recipe.command)
        self._encoder: PatchEncoder | None = None
        if recipe.encoder is not None:
            if recipe.threads is not None:
                need("torch").set_num_threads(recipe.threads)
            self._encoder = load_encoder(replace(recipe.encoder, device=device or recipe.encoder.device))

    def do(self, job: SlideJob, tell: Tell) -> Result:
        """Do one slide, unless another process is at it."""
        start = time.monotonic()
        try:
            with holding(self._state.lock(job.slide_id)):
                result = self._result(job, tell, start)
                self._state.end(result)
        except Held as held:
            return Result(slide_id=job.slide_id, status="held", reason=str(held.holder))
        except OSError as error:  # the state itself cannot be written
            return _failed(job, error, start)
        return result

    def _result(self, job: SlideJob, tell: Tell, start: float) -> Result:
        try:
            outcome = self._steps(job, tell)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one slide must not stop the rest
            return _failed(job, error, start)
        return Result(
            slide_id=job.slide_id,
            status=outcome.status,
            patches=outcome.patches,
            notes=outcome.notes,
            seconds=round(time.monotonic() - start, 3),
        )

    def _steps(self, job: SlideJob, tell: Tell) -> Outcome:
        recipe, coords = self.recipe, job.slide
        outcomes = []
        if job.tiling is not None:
            coords = recipe.work / "coords" / f"{job.slide_id}.h5"
            outcomes.append(patch_slide(job.slide, recipe.work, job.tiling, overwrite=recipe.overwrite))
        if self._encoder is not None:
            outcomes.append(
                encode_slide(
                    coords,
                    recipe.bags,
                    self._encoder,
                    recipe.features,
                    overwrite=recipe.overwrite,
                    on_batch=lambda encoded, patches: tell(job.slide_id, encoded, patches),
                )
            )
        done = [outcome for outcome in outcomes if outcome.status == "done"]
        notes = tuple(note for outcome in outcomes for note in outcome.notes)
        return replace(outcomes[-1], status="done" if done else "skipped", notes=notes)


def died(job: SlideJob, exitcode: int | None) -> Result:
    """The result of a slide whose process ended before it did."""
    how = f"was killed by signal {-exitcode}" if exitcode and exitcode < 0 else f"ended with exit code {exitcode}"
    hint = "; memory may have run out: try fewer --workers" if exitcode == -9 else "; the slide file may be damaged"
    return Result(slide_id=job.slide_id, status="failed", reason=f"its process {how}{hint}")


def _failed(job: SlideJob, error: Exception, start: float) -> Result:
    ours = isinstance(error, PathPluginsError | MissingDependencyError)
    return Result(
        slide_id=job.slide_id,
        status="failed",
        reason=str(error) if ours else f"{type(error).__name__}: {error}",
        trace=traceback.format_exc(),
        seconds=round(time.monotonic() - start, 3),
        fatal=disk_is_full(error),
    )
