"""Convert a large JSON file with several processes, each taking one byte range at a time.

The result is that of one process as long as nothing is wrong: a bad row, a repeated id or a cut in the wrong place
ends the attempt, and one process converts the file again and reports the faults.
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

PIECE = 2**19  #: bytes of a piece; a few megabytes of objects and text in each process

_MOST = 8  # processes; the one that writes cannot keep up with more


class NotApartError(Exception):
    """The file has to be converted by one process."""


class _Done(NamedTuple):
    data: bytes
    rows: int
    ids: array[int]


_work: Callable[[Piece], _Done | None]


def pieces_of(stream: Stream) -> list[Piece]:
    """Return the byte ranges for parallel conversion; empty when one process should do it."""
    filters = stream.ids is not None or stream.min_words or stream.ids_are_final or stream.folders
    if stream.make is None or filters or sys.platform != "linux" or len(os.sched_getaffinity(0)) < 2:
        return []
    return cut(stream.path, PIECE)


def convert_pieces(
    pieces: list[Piece], stream: Stream, make_row: Callable[[Record], Any], encode: Callable[[list[Any]], bytes]
) -> Iterator[tuple[bytes, int]]:
    """Convert the pieces; yield the bytes of each and its number of rows, in order.

    Args:
        pieces: Byte ranges of the file.
        stream: The source; learns the ids.
        make_row: Makes a row of a record.
        encode: Makes bytes of a list of rows.

    Raises:
        NotApartError: a row is bad, or a cut was wrong.
        IdsRepeat: an id stands in two pieces; the stream has recorded the repeated ids.
    """

    def work(piece: Piece) -> _Done | None:
        own = dataclasses.replace(stream, drafts=lambda: drafts(read_piece(stream.path, piece), stream.make))
        rows = []
        try:
            for record in own:
                if isinstance(record, BadSample):
                    return None
                rows.append(make_row(record))
        except (WrongCutError, IdsRepeat, NotHeldError):
            return None
        return None if own.book.marked or not rows else _Done(encode(rows), len(rows), own.book.hashes)

    # Forked processes share the stream and the hash seed of ids, and need no start of Python.
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
    global _work  # set once per process of the pool
    _work = work
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    gc.disable()  # the objects of a piece form no cycles; searching for some takes a tenth of the time
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the writing process receives it, and ends these


def _end_with(parent: int) -> None:
    """Exit when the parent process is gone, for instance killed."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _run(piece: Piece) -> _Done | None:
    return _work(piece)
