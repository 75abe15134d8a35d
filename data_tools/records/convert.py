"""Convert a data set from one format to another, record by record."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from pathplugins.core.files import remove_abandoned, replacing
from pathplugins.data.formats.reading.assembly import Stream
from pathplugins.data.formats.reading.json_pieces import Piece
from pathplugins.data.formats.reading.unique import IdsRepeat
from pathplugins.data.records import BadSample, Record

from ..engine.progress import bars
from .pieces import NotApartError, convert_pieces, pieces_of
from .report import BadRows
from .request import Request, checks_images, image_paths, open_stream
from .writers import WRITERS
from .writers.target import NotHeldError, Sink, Target

_BLOCK = 256  # rows encoded at once


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """The outcome of a conversion."""

    written: int
    """Samples written; 0 if bad rows stopped the conversion."""
    too_large: int
    """Rows left out because an image has too many pixels."""
    bad: int
    """Rows with any other fault, or that the output format cannot hold."""
    report: str
    """Counts of the rows left out by reason, the first few with their place; empty without any."""


def convert(request: Request) -> Conversion:
    """Convert a data set; the output is written whole or not at all.

    With a folder of images each distinct image is checked once, by its header; images above ``max_pixels`` are left out
    and never stop the conversion, as in the published step. Rows left out are listed in ``<out>.bad.jsonl``. Memory
    grows by eight bytes for each id and about eighty for each distinct image checked.

    Raises:
        PathPluginsError: the source, the options or the output folder cannot be used.
    """
    target: Target = WRITERS.get(request.to or "xtuner")
    register = target.beside(request.out, request.overwrite) if target.beside else None
    stream = open_stream(request)
    pieces = pieces_of(stream) if not checks_images(request, stream) and not target.numbered else []
    while True:
        try:
            done = _pass(request, stream, target, pieces)
        except IdsRepeat:
            pieces = []  # the stream knows the repeated ids now
            continue
        except NotApartError:
            pieces, stream = [], dataclasses.replace(stream)  # a copy that has seen no ids yet
            continue
        if done.written and register and not request.dry_run:
            register()
        return done


def _pass(request: Request, stream: Stream, target: Target, pieces: list[Piece]) -> Conversion:
    """Read the stream once and write its records."""
    sink, beside = target.sink(request.out), request.out.with_name(f"{request.out.name}.bad.jsonl")
    with BadRows(None if request.dry_run else beside) as bad_rows:

        def stopped() -> bool:
            return bool(bad_rows.bad) and request.on_bad == "error"

        if pieces:
            blocks = convert_pieces(pieces, stream, target.rows(request.out), sink.encode)
        else:
            rows = _rows(request, stream, target, bad_rows)
            blocks = ((b"" if stopped() else sink.encode(block), len(block)) for block in _cut(rows))
        written = _write(request, sink, blocks, stopped)
    return Conversion(
        written=0 if stopped() else written,
        too_large=bad_rows.rows - bad_rows.bad,
        bad=bad_rows.bad,
        report=bad_rows.text(written),
    )


def _rows(request: Request, stream: Stream, target: Target, bad_rows: BadRows) -> Iterator[Any]:
    """Yield the rows of the good records; add the others to ``bad_rows``."""
    make = target.rows(request.out)
    relative = image_paths(request) if checks_images(request, stream) else None
    for record, faults in _checked(request, stream):
        if faults:
            bad_rows.add(faults)
            continue
        if relative is not None and record.images:
            record = dataclasses.replace(record, images=tuple(map(relative, record.images)))
        try:
            yield make(record)
        except NotHeldError as error:
            detail = f"{record.id}: {error}"
            bad_rows.add([BadSample(source=record.source, row=record.row, reason="does not fit", detail=detail)])


def _checked(request: Request, stream: Stream) -> Iterator[tuple[Any, list[BadSample]]]:
    """Yield each record with the faults of its images."""
    if checks_images(request, stream):
        from .images import checked_images

        yield from checked_images(stream, max_pixels=request.max_pixels, feature_files=request.to is not None)
        return
    for item in stream:
        yield (item, []) if isinstance(item, Record) else (None, [item])


def _cut(rows: Iterator[Any]) -> Iterator[list[Any]]:
    while block := [*itertools.islice(rows, _BLOCK)]:
        yield block


def _write(request: Request, sink: Sink, blocks: Iterator[tuple[bytes, int]], stopped: Callable[[], bool]) -> int:
    """Write all blocks, or nothing if a bad row stops it or there are none; return the number of rows."""
    count = 0
    with _whole(request) as put, bars() as bar:
        task = bar.add_task("converted", total=None, unit="samples")
        for data, rows in blocks:
            put(sink.between if count else sink.start)
            put(data)
            count += rows
            bar.advance(task, rows)
        if not count or stopped():
            raise _NothingToWriteError
        put(sink.end)
    return count


class _NothingToWriteError(Exception):
    """Abandons a file that is being written."""


@contextmanager
def _whole(request: Request) -> Iterator[Callable[[str], object]]:
    """Yield a function that writes bytes to the output, which appears when the block succeeds."""
    with ExitStack() as stack:
        stack.enter_context(suppress(_NothingToWriteError))
        if request.dry_run:
            yield len  # accepts bytes and discards them
            return
        remove_abandoned(request.out)
        temporary = stack.enter_context(replacing(request.out))
        yield stack.enter_context(temporary.open("wb")).write
