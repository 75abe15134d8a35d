"""Caption the rows of a manifest: every stage of every row, many rows at a time, written in the manifest's order."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import NamedTuple

from ..engine.progress import bars
from .asking import Asker
from .client import UnusableServerError
from .pace import StoppedError
from .replies import RowFailedError
from .result_files import Captioned, Missed, ResultFiles
from .rows import PatchRow
from .stages import DESCRIPTION, Stage

_AHEAD = 16  #: rows in progress for each thread, so that one slow row does not hold up the others


class StageAsker(NamedTuple):
    """A stage with the asker that answers it."""

    stage: Stage
    asker: Asker


def caption_rows(
    rows: Iterable[PatchRow],
    steps: Sequence[StageAsker],
    results: ResultFiles,
    *,
    total: int,
    threads: int,
    stop: threading.Event,
) -> None:
    """Caption every row and write the outcome to ``results``.

    Args:
        rows: the rows to caption.
        steps: the stages in their order.
        results: open result files.
        total: number of rows, for the progress bar.
        threads: rows worked on at a time.
        stop: set when no further request may be sent, so that threads end instead of waiting for their turn.

    Raises:
        UnusableServerError: a server cannot be used; the answers so far are in the cache.
    """
    lost: list[UnusableServerError] = []

    def work(row: PatchRow) -> Captioned | Missed:
        try:
            return _caption(row, steps)
        except UnusableServerError as error:
            lost.append(error)
            stop.set()  # immediately, not only when this row would be written
            raise

    outcomes = _in_order(work, rows, threads=threads, stop=stop)
    with bars() as bar, closing(outcomes):
        task = bar.add_task("captions", total=total, unit="patches")
        try:
            for outcome in outcomes:
                results.put(outcome)
                bar.advance(task)
        except StoppedError:  # raised by an earlier row, stopped because a later one found the server unusable
            raise lost[0] from None


def _in_order(
    work: Callable[[PatchRow], Captioned | Missed], rows: Iterable[PatchRow], *, threads: int, stop: threading.Event
) -> Generator[Captioned | Missed, None, None]:
    pool, begun = ThreadPoolExecutor(threads), deque[Future[Captioned | Missed]]()
    try:
        for row in rows:
            begun.append(pool.submit(work, row))
            if len(begun) >= threads * _AHEAD:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()
    finally:
        stop.set()  # all rows are done, or the caller gave up
        pool.shutdown(cancel_futures=True)


def _caption(row: PatchRow, steps: Sequence[StageAsker]) -> Captioned | Missed:
    """Run all stages of one row."""
    captions, models, slots, stage = row.captions(), dict[str, str](), row.slots(), steps[0].stage

    def missed(reason: str, text: str, *, refused: bool = False) -> Missed:
        return Missed(row=row, captions=captions, stage=stage.name, refused=refused, reason=reason, text=text)

    try:
        image = row.image.read_bytes() if any(step.stage.image for step in steps) else None
        for step in steps:
            stage = step.stage
            answer = step.asker.answer(stage.prompt(slots), image if stage.image else None)
            if answer.refused:
                return missed(answer.refused, answer.text, refused=True)
            captions[stage.name] = slots[DESCRIPTION] = answer.text
            models[stage.name] = answer.model
    except RowFailedError as error:
        return missed(error.reason, str(error))
    except OSError as error:
        return missed("unreadable file", str(error))
    return Captioned(row=row, captions=captions, models=models)
