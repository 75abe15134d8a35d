"""Captions: all stages of every row, many rows at a time, in the order of the manifest."""

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
from .result_files import Captioned, Missed, Outputs
from .rows import Pair
from .stages import DESCRIPTION, Stage

_AHEAD = 16  #: rows begun for each thread: one that is slow holds up those behind it only when as many are done


class Step(NamedTuple):
    """A stage and who answers it."""

    stage: Stage
    asker: Asker


def caption_pairs(
    pairs: Iterable[Pair], steps: Sequence[Step], outputs: Outputs, *, rows: int, threads: int, stop: threading.Event
) -> None:
    """Caption every row and put it into ``outputs``.

    Args:
        pairs: the rows.
        steps: the stages in their order.
        outputs: open.
        rows: how many there are, for the bar.
        threads: rows that are asked about at a time.
        stop: is set when nothing more is to be asked, so that threads end instead of waiting for their turn.

    Raises:
        UnusableServerError: as the askers do; answers so far are in the cache.
    """
    lost: list[UnusableServerError] = []

    def work(pair: Pair) -> Captioned | Missed:
        try:
            return _caption(pair, steps)
        except UnusableServerError as error:
            lost.append(error)
            stop.set()  # at once, not when this row's turn to be written comes
            raise

    outcomes = _in_order(work, pairs, threads=threads, stop=stop)
    with bars() as bar, closing(outcomes):
        task = bar.add_task("captions", total=rows, unit="patches")
        try:
            for outcome in outcomes:
                outputs.put(outcome)
                bar.advance(task)
        except StoppedError:  # of a row before the one that found out
            raise lost[0] from None


def _in_order(
    work: Callable[[Pair], Captioned | Missed], pairs: Iterable[Pair], *, threads: int, stop: threading.Event
) -> Generator[Captioned | Missed, None, None]:
    pool, begun = ThreadPoolExecutor(threads), deque[Future[Captioned | Missed]]()
    try:
        for pair in pairs:
            begun.append(pool.submit(work, pair))
            if len(begun) >= threads * _AHEAD:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()
    finally:
        stop.set()  # nothing is left to do, or it is not wanted any more
        pool.shutdown(cancel_futures=True)


def _caption(pair: Pair, steps: Sequence[Step]) -> Captioned | Missed:
    """All stages of one row."""
    captions, models, slots, stage = pair.captions(), dict[str, str](), pair.slots(), steps[0].stage

    def missed(reason: str, text: str, *, refused: bool = False) -> Missed:
        return Missed(pair=pair, captions=captions, stage=stage.name, refused=refused, reason=reason, text=text)

    try:
        image = pair.image.read_bytes() if any(step.stage.image for step in steps) else None
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
    return Captioned(pair=pair, captions=captions, models=models)
