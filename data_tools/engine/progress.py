"""Progress of a run: a line per slide on stderr, with bars below where stderr is a terminal."""

from __future__ import annotations

import functools
import sys
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from pathplugins.core.counted import counted

from .areas import Areas

if TYPE_CHECKING:
    from .state import Result

FAILED, MISUSED, INTERRUPTED = 1, 2, 130  #: exit codes


def say(line: str) -> None:
    """Print a line on stderr, above any bars; never wrapped or coloured, so that a log can be searched."""
    console().print(line, markup=False, highlight=False, soft_wrap=True)


def bars() -> Progress:
    """Return bars on stderr with counts and times; they show nothing where stderr is not a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[unit]}"))
    times = (TimeElapsedColumn(), TextColumn("<"), TimeRemainingColumn())
    return Progress(*columns, *times, console=console(), transient=True, disable=not console().is_terminal)


def console() -> Console:
    """Return the console of this stderr: one for all, because lines of a second one would tear the bars."""
    return _console(sys.stderr)


@functools.lru_cache(maxsize=1)
def _console(stream: object) -> Console:
    return Console(file=stream, stderr=True)  # type: ignore[arg-type]


class Board:
    """Shows a run: a line when a slide ends, a bar for all slides and one for each that is being encoded."""

    def __init__(self, slides: int) -> None:
        self._slides = slides
        self._ended = 0
        self._bars = bars()
        self._all = self._bars.add_task("slides", total=slides, unit="slides")
        self._tasks: dict[str, TaskID] = {}
        self._waiting: set[str] = set()

    def tell(self, slide_id: str, encoded: int, patches: int) -> None:
        """Show how many of the patches of a slide are encoded."""
        if slide_id not in self._tasks:
            self._tasks[slide_id] = self._bars.add_task(slide_id, total=patches, unit="patches")
        self._bars.update(self._tasks[slide_id], completed=encoded)

    def held(self, result: Result) -> None:
        """Say once that another run is doing a slide."""
        if result.slide_id not in self._waiting:
            self._waiting.add(result.slide_id)
            say(f"{result.slide_id}: {result.reason} is doing it; waiting for it to end")

    def ended(self, result: Result) -> None:
        """Print the result of a slide that has ended."""
        self._ended += 1
        if (task := self._tasks.pop(result.slide_id, None)) is not None:
            self._bars.remove_task(task)
        self._bars.advance(self._all)
        say(f"[{self._ended}/{self._slides}] {result.slide_id}: {_line(result)}")

    def __enter__(self) -> Board:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()


def _line(result: Result) -> str:
    if result.status == "failed":
        return "failed"
    already = " (exists already)" if result.status == "skipped" else ""
    areas = None if result.areas is None else Areas.from_json(result.areas)
    shares = () if areas is None else (areas.in_words(), *filter(None, [areas.question()]))
    return "; ".join([f"{counted(result.patches, 'patch')}{already}", *shares, *result.notes])
