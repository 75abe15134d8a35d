"""Run: hand slides to a pool until none is left, and count the results."""

from __future__ import annotations

import json
import shutil
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pathplugins.core.files import meant_by

from .areas import Areas, mean_areas
from .jobs import Recipe, SlideJob
from .locks import Held, holding
from .pools import Pool
from .progress import Board
from .state import Result, StateFolder

_HELD_PAUSE_S = 1.0
_POLL_S = 1.0


@dataclass(kw_only=True)
class Summary:
    """Counts of the results of all slides."""

    done: int = 0
    skipped: int = 0
    patches: int = 0
    seconds: float = 0.0
    failed: dict[str, str] = field(default_factory=dict)
    """slide id -> reason, in the order they failed."""
    areas: dict[str, str] = field(default_factory=dict)
    """slide id -> shares that are tissue or left out (``Areas.to_json``), for slides that were looked at."""
    not_started: int = 0
    """Slides left out because each would have failed the same way."""

    def to_json(self) -> dict[str, Any]:
        """Return the counts as plain values; of the areas, the mean and the slides to question."""
        found = [Areas.from_json(text) for text in self.areas.values()]
        areas = json.loads(mean_areas(found).to_json()) if found else None
        return {**vars(self), "seconds": round(self.seconds, 1), "areas": areas, "questions": self.questions()}

    def questions(self) -> dict[str, str]:
        """Return what the user should look at, by slide id."""
        asked = {slide_id: Areas.from_json(text).question() for slide_id, text in self.areas.items()}
        return {slide_id: question for slide_id, question in asked.items() if question}


def run_jobs(jobs: Sequence[SlideJob], recipe: Recipe, pool: Pool, board: Board) -> Summary:
    """Do every slide once; a slide that another run is doing is tried again until it is done there, or free.

    A failure stops no other slide, unless every further slide would fail the same way (a full disk).
    """
    state = StateFolder(recipe.work, recipe.command)
    summary, start = Summary(), time.monotonic()
    waiting, held, running = deque(jobs), deque[SlideJob](), 0
    with pool, board:
        state.begin(
            job.slide_id for job in jobs
        )  # after the model is loaded: a run that cannot load it records nothing
        remove_leftovers(recipe, jobs)
        while waiting or held or running:
            while pool.free and waiting:
                pool.submit(waiting.popleft())
                running += 1
            if not running:
                time.sleep(_HELD_PAUSE_S)
                waiting.extend(held)
                held.clear()
                continue
            for job, result in pool.results(board.tell, _POLL_S):
                running -= 1
                if result.status == "held":
                    held.append(job)
                    board.held(result)
                    continue
                _count(summary, result)
                if result.status == "failed" and not result.trace:  # its process died before it could record that
                    state.end(result)
                board.ended(result)
                if result.fatal:
                    summary.not_started += len(waiting) + len(held)
                    waiting.clear()
                    held.clear()
    summary.seconds = time.monotonic() - start
    return summary


def remove_leftovers(recipe: Recipe, jobs: Sequence[SlideJob]) -> None:
    """Remove the half-written files of killed processes, except those of slides that a process is working on."""
    state, slides = StateFolder(recipe.work, recipe.command), {job.slide_id for job in jobs}
    folders = {recipe.work, *recipe.work.glob("*/"), *recipe.work.glob("state/*/")}
    folders |= {recipe.result_path(job.slide_id).parent for job in jobs}
    for folder in sorted(folder for folder in folders if folder.is_dir()):
        for path in folder.glob(".*.tmp"):
            name = meant_by(path) or ""
            slide_id = next((s for s in (name, Path(name).stem) if s in slides), None)
            if slide_id is None:
                continue
            try:
                with holding(state.lock(slide_id)):
                    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
            except Held:
                continue  # it is being written


def _count(summary: Summary, result: Result) -> None:
    if result.status == "failed":
        summary.failed[result.slide_id] = result.reason
        return
    summary.patches += result.patches
    if result.areas is not None:
        summary.areas[result.slide_id] = result.areas
    if result.status == "done":
        summary.done += 1
    else:
        summary.skipped += 1
