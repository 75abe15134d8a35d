"""Conversion of a large JSON file by several processes, a piece each at a time.

They do what one process does with a whole file, as long as all is well: a row that is bad, an id that repeats or a cut
in the wrong place ends it, and the file is gone through again by one process, which reports these things.
"""

from __future__ import annotations

import dataclasses
import gc
import multiprocessing
import os
import signal
import sys
import threading
import time
from array import array
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, NamedTuple

from pathplugins.data.formats.reading.assembly import Stream
from pathplugins.data.formats.reading.json_pieces import Piece, WrongCutError, cut, read_piece
from pathplugins.data.formats.reading.rows import drafts
from pathplugins.data.formats.reading.unique import IdsRepeat
from pathplugins.data.records import BadSample, Record

from .writers.target import NotHeldError

PIECE = 2**19  #: bytes; some megabytes of objects and text in each process

_MOST = 8  # processes; the one that writes keeps up with no more


class NotApartError(Exception):
    """Something that one process has to see to."""


class _Done(NamedTuple):
    data: bytes
    rows: int
    ids: array[int]


_work: Callable[[Piece], _Done | None]


def pieces_of(stream: Stream) -> list[Piece]:
    """The pieces to convert apart; none where one process is to do it, or could not be helped."""
    selects = stream.ids is not None or stream.min_words or stream.ids_are_final or stream.folders
    if stream.make is None or selects or sys.platform != "linux" or len(os.sched_getaffinity(0)) < 2:
        return []
    return cut(stream.path, PIECE)


def convert_pieces(
    pieces: list[Piece], stream: Stream, make_row: Callable[[Record], Any], encode: Callable[[list[Any]], bytes]
) -> Iterator[tuple[bytes, int]]:
    """The bytes of each piece and how many rows they are, in order.

    Raises:
        NotApartError: a row is bad, or a cut was wrong.
        IdsRepeat: an id stands in two pieces; the stream knows now which.
    """

    def work(piece: Piece) -> _Done | None:
        part = dataclasses.replace(stream, drafts=lambda: drafts(read_piece(stream.path, piece), stream.make))
        rows = []
        try:
            for record in part:
                if isinstance(record, BadSample):
                    return None
                rows.append(make_row(record))
        except (WrongCutError, IdsRepeat, NotHeldError):
            return None
        return None if part.book.marked or not rows else _Done(encode(rows), len(rows), part.book.hashes)

    # Forked, the processes have what they need, and the same hashes of ids, without a start of Python.
    processes = min(len(os.sched_getaffinity(0)), _MOST)
    pool = ProcessPoolExecutor(processes, multiprocessing.get_context("fork"), _begin, (work,))
    try:
        waiting: deque[Future[_Done | None]] = deque()
        for number in range(len(pieces) + 2 * processes):
            if number < len(pieces):
                waiting.append(pool.submit(_run, pieces[number]))
            if number >= 2 * processes and waiting:
                done = waiting.popleft().result()
                if done is None:
                    raise NotApartError
                stream.book.extend(done.ids)
                yield done.data, done.rows
    except BrokenProcessPool as error:
        raise NotApartError from error
    finally:
        pool.shutdown(cancel_futures=True)
    if not stream.book.close():
        raise IdsRepeat


def _begin(work: Callable[[Piece], _Done | None]) -> None:
    global _work  # what a process of the pool does, all its life
    _work = work
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    gc.disable()  # what comes of a piece has no cycles: looking for them takes a tenth of the time
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that writes is stopped, and ends these


def _end_with(parent: int) -> None:
    """End this process when the one that forked it is gone; nothing else tells, if that was killed."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _run(piece: Piece) -> _Done | None:
    return _work(piece)
