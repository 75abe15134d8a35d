"""Rows of a bag: read the rows asked for from where they lie in the file, and little else.

Plain h5py is slow at random rows: it visits chunks once a row, looks each up anew and holds one lock while it inflates.
Three ways, by how the features are stored; all give what h5py gives:

* *places*: nothing but bytes in row order (contiguous, or chunks as wide as the bag and without filters): one
  positional read per run of neighbouring rows, straight into the result;
* *chunks*: gzip and shuffle, or few of many small chunks: the chunks as stored, inflated by two threads (``zlib`` lets
  go of the interpreter, HDF5 does not), each used and dropped;
* *HDF5*: all other filters, number formats and drivers.

Where the bag brings checksums of its rows (see `pathplugins.data.bags.write`), each row read is compared with its own.
"""

from __future__ import annotations

import functools
import itertools
import os
import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import h5py
import numpy as np

_GAP_BYTES = 64 * 1024  # reading this much too much costs less than one more call of HDF5 (about 30 us) or seek
_BLOCK_BYTES = 8 * 1024 * 1024  # larger temporaries cost more in page faults than they save in calls
_TASK_BYTES = 128 * 1024  # of stored chunks per task of a thread: handing one over costs about 30 us
_THREADS = 2
_LOOKUP = 12  # looking one chunk up costs as much as listing this many (h5py 3.16)
_DEFLATE, _SHUFFLE = h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE


class _Piece(NamedTuple):
    """A chunk as stored, and the rows and columns to take from it."""

    raw: bytes
    skipped: int
    """Bit i: filter i was not applied to this chunk."""
    columns: slice
    rows: np.ndarray
    """Within the chunk."""
    places: np.ndarray
    """In the result."""


class RowReader:
    """Reads rows of one open dataset ``[N, D]``; use it while the file is open, in one thread."""

    def __init__(self, features: h5py.Dataset, checksums: h5py.Dataset | None = None) -> None:
        self._features = features
        self._checksums = checksums
        self._row_bytes = features.shape[1] * features.dtype.itemsize
        self._chunk_rows, self._chunk_columns = features.chunks or (1, features.shape[1])
        plist = features.id.get_create_plist()
        self._filters = [plist.get_filter(i)[0] for i in range(plist.get_nfilters())]
        self._plain = (
            not features.file.userblock_size
            and features.file.driver == "sec2"
            and len(features.id.shape) == 2  # else rows behind a leading axis of one
            and features.id.get_type() == h5py.h5t.py_create(features.dtype)  # else numbers NumPy has no name for
        )
        self._starts: np.ndarray | None = None

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Read rows ``[k]`` int64 in the order given, repeated ones too: ``[k, D]``, native byte order."""
        order = np.argsort(rows, kind="stable")
        ascending = rows[order]
        first = np.ones(len(rows), bool)
        first[1:] = ascending[1:] != ascending[:-1]
        distinct, places = ascending[first], order[first]
        out = np.empty((len(rows), self._features.shape[1]), self._features.dtype)
        if (starts := self._row_starts(distinct)) is not None:
            self._read_places(starts, places, out)
        elif self._plain and self._features.chunks and {*self._filters} <= {_DEFLATE, _SHUFFLE}:
            self._read_chunks(distinct, places, out)
        else:
            self._read_hdf5(distinct, places, out)
        if not first.all():
            out[order[~first]] = out[places[np.cumsum(first) - 1][~first]]
        self._verify(distinct, places, out)
        return out if out.dtype.isnative else out.byteswap(inplace=True).view(out.dtype.newbyteorder("="))

    def blocks(self) -> Iterator[tuple[int, np.ndarray]]:
        """Yield all rows in blocks: (first row, ``[b, D]``)."""
        n, step = self._features.shape[0], self._block_rows()
        if self._chunk_starts_known():
            self._list_chunks()
        for start in range(0, n, step):
            yield start, self.read(np.arange(start, min(n, start + step)))

    def _block_rows(self) -> int:
        """Return the rows of a block: whole chunks, so that none is read twice, unless chunks are very large."""
        rows = max(1, _BLOCK_BYTES // self._row_bytes)
        return (
            rows if self._chunk_rows > rows and not self._filters else -(-rows // self._chunk_rows) * self._chunk_rows
        )

    def _chunk_starts_known(self) -> bool:
        """Return whether the place of a row follows from that of its chunk."""
        whole = self._features.chunks and self._chunk_columns == self._features.shape[1]
        return bool(self._plain and whole and not self._filters and hasattr(self._features.id, "chunk_iter"))

    def _list_chunks(self) -> np.ndarray:
        """Return where each chunk starts in the file, bytes; -1 where none was written."""
        if self._starts is None:
            starts, size = np.full(-(-self._features.shape[0] // self._chunk_rows), -1, np.int64), self._chunk_rows

            def note(chunk: h5py.h5d.StoreInfo) -> None:
                if (number := chunk.chunk_offset[0] // size) >= len(starts):
                    raise OSError(f"`{self._features.name[1:]}` has a chunk behind its end")
                starts[number] = chunk.byte_offset

            self._features.id.chunk_iter(note)
            self._starts = starts
        return self._starts

    def _row_starts(self, rows: np.ndarray) -> np.ndarray | None:
        """Return the first byte of each ascending row in the file; None if rows lie in pieces or listing costs more."""
        if self._plain and self._features.chunks is None and (offset := self._features.id.get_offset()) is not None:
            return offset + rows * self._row_bytes
        if not self._chunk_starts_known():
            return None
        chunks, within = np.divmod(rows, self._chunk_rows)
        touched = 1 + np.count_nonzero(np.diff(chunks))
        if self._starts is None and touched * _LOOKUP < -(-self._features.shape[0] // self._chunk_rows):
            return None
        starts = self._list_chunks()[chunks]
        if (starts < 0).any():
            raise OSError(f"row {int(rows[starts.argmin()])} of `{self._features.name[1:]}` was never written")
        return starts + within * self._row_bytes

    def _read_places(self, starts: np.ndarray, places: np.ndarray, out: np.ndarray) -> None:
        descriptor, size = self._features.file.id.get_vfd_handle(), self._row_bytes
        cuts = np.flatnonzero((np.diff(starts) != size) | (np.diff(places) != 1)) + 1
        firsts = np.concatenate([[0], cuts])
        sizes = np.diff(firsts, append=len(starts)) * size
        target = memoryview(out.reshape(-1).view(np.uint8))
        runs = ((places[firsts] * size).tolist(), starts[firsts].tolist(), sizes.tolist())
        for begin, start, length in zip(*runs, strict=True):
            done = os.preadv(descriptor, [target[begin : begin + length]], start)
            while done < length:  # Linux reads 2 GiB at most at once
                more = os.preadv(descriptor, [target[begin + done : begin + length]], start + done)
                if not more:
                    raise OSError(f"the file ends {length - done} bytes before its features do")
                done += more

    def _read_chunks(self, rows: np.ndarray, places: np.ndarray, out: np.ndarray) -> None:
        if self._chunk_rows == 1 and self._chunk_starts_known():  # a chunk is a row, as it is
            target, size = memoryview(out.reshape(-1).view(np.uint8)), self._row_bytes
            for row, place in zip(rows.tolist(), places.tolist(), strict=True):
                self._features.id.read_direct_chunk((row, 0), out=target[place * size : (place + 1) * size])
            return
        pieces = self._pieces(rows, places)
        if _DEFLATE not in self._filters:
            for piece in pieces:
                self._unpack([piece], out)
            return
        pending: deque[Future[None]] = deque()
        with ThreadPoolExecutor(_THREADS) as pool:
            try:
                for task in _tasks(pieces):
                    pending.append(pool.submit(self._unpack, task, out))
                    if len(pending) > _THREADS:
                        pending.popleft().result()
                while pending:
                    pending.popleft().result()
            finally:
                pool.shutdown(cancel_futures=True)

    def _pieces(self, rows: np.ndarray, places: np.ndarray) -> Iterator[_Piece]:
        """Yield the chunks with any of the ascending ``rows``."""
        chunks = rows // self._chunk_rows
        edges = [0, *(np.flatnonzero(np.diff(chunks)) + 1).tolist(), len(rows)]
        for first, last in itertools.pairwise(edges):
            top = int(chunks[first]) * self._chunk_rows
            for left in range(0, self._features.shape[1], self._chunk_columns):
                skipped, raw = self._features.id.read_direct_chunk((top, left))
                columns = slice(left, min(left + self._chunk_columns, self._features.shape[1]))
                yield _Piece(raw, skipped, columns, rows[first:last] - top, places[first:last])

    def _unpack(self, pieces: list[_Piece], out: np.ndarray) -> None:
        size, itemsize = self._chunk_rows * self._chunk_columns, out.dtype.itemsize
        for piece in pieces:
            raw = piece.raw
            for number, kind in reversed([*enumerate(self._filters)]):
                if piece.skipped >> number & 1:
                    continue
                if kind == _DEFLATE:
                    try:
                        raw = zlib.decompress(raw, bufsize=size * itemsize)
                    except zlib.error as error:
                        raise OSError(f"a chunk of `{self._features.name[1:]}` does not inflate: {error}") from error
                elif len(raw) == size * itemsize:
                    raw = np.frombuffer(raw, np.uint8).reshape(itemsize, size).T.tobytes()
            if len(raw) != size * itemsize:
                raise OSError(f"a chunk of `{self._features.name[1:]}` has {len(raw)} bytes, not {size * itemsize}")
            chunk = np.frombuffer(raw, out.dtype).reshape(self._chunk_rows, self._chunk_columns)
            width = piece.columns.stop - piece.columns.start
            out[piece.places, piece.columns] = chunk[piece.rows, :width]

    def _read_hdf5(self, rows: np.ndarray, places: np.ndarray, out: np.ndarray) -> None:
        block_rows = -(-max(1, _BLOCK_BYTES // self._row_bytes) // self._chunk_rows) * self._chunk_rows
        runs = near_runs(rows, block_rows=block_rows, chunk_rows=self._chunk_rows, row_bytes=self._row_bytes)
        for run in runs:
            first, last = int(rows[run.start]), int(rows[run.stop - 1])
            out[places[run]] = self._features[first : last + 1][rows[run] - first]

    def _verify(self, rows: np.ndarray, places: np.ndarray, out: np.ndarray) -> None:
        """Compare distinct rows with the checksums of the bag, if it has any; over bytes as stored."""
        if self._checksums is None:
            return
        wanted = self._checksums[int(rows[0]) : int(rows[-1]) + 1][rows - rows[0]]  # [k]
        damaged = row_checksums(out)[places] != wanted
        if damaged.any():
            row = int(rows[damaged.argmax()])
            raise OSError(
                f"row {row} of `{self._features.name[1:]}` does not match its checksum, it is damaged (or was edited: "
                f"then delete `{self._checksums.name[1:]}`)"
            )


def faulty_rows(blocks: Iterable[np.ndarray]) -> tuple[list[int], list[int]]:
    """Return the numbers of the rows with NaN or infinity, and of those with only zeros, over all blocks ``[b, D]``.

    A float64 beyond float32 is infinity to every model.
    """
    bad: list[int] = []
    blank: list[int] = []
    start = 0
    for block in blocks:
        with np.errstate(over="ignore"):
            read = block.astype(np.float32) if block.dtype.itemsize > 4 else block
        bad += (np.flatnonzero(~np.isfinite(read).all(axis=1)) + start).tolist()
        blank += (np.flatnonzero(~block.any(axis=1)) + start).tolist()
        start += len(block)
    return bad, blank


def row_checksums(rows: np.ndarray) -> np.ndarray:
    """Return a number for each row ``[k, D]``, uint64: its 8-byte words times fixed odd numbers, summed mod 2**64.

    It sees every change within one word, so every flipped bit, and misses others about once in 2**64; only changes to
    nothing but the top bits of an even number of words pass. One ``zlib.crc32`` per row would cost seven times the
    seconds, 2 of 9 ms for 2,048 rows of 1,536 float16.

    Args:
        rows: C-contiguous, little-endian as in the file; if their bytes are no multiple of 8, words have 4, 2 or 1.
    """
    size = rows.shape[1] * rows.itemsize
    word = next(bytes_ for bytes_ in (8, 4, 2, 1) if size % bytes_ == 0)
    words = rows.reshape(-1).view(f"<u{word}").reshape(len(rows), size // word)
    return np.einsum("ij,j->i", words, _weights(size // word))


@functools.cache
def _weights(n: int) -> np.ndarray:
    """Return ``n`` odd numbers below 2**64 that look random and never change: SplitMix64 of 1, 2, 3 ..."""
    z = np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (z ^ (z >> np.uint64(31))) | np.uint64(1)


def near_runs(rows: np.ndarray, *, block_rows: int, chunk_rows: int, row_bytes: int) -> Iterator[slice]:
    """Cut ascending ``rows`` into slices worth one read each: near each other, or in one chunk, within one block."""
    gap_rows = max(1, _GAP_BYTES // row_bytes)
    apart = (np.diff(rows) > gap_rows) & (np.diff(rows // chunk_rows) > 0)
    cuts = np.flatnonzero(apart | (np.diff(rows // block_rows) > 0)) + 1
    edges = [0, *cuts.tolist(), len(rows)]
    return (slice(start, stop) for start, stop in itertools.pairwise(edges))


def _tasks(pieces: Iterable[_Piece]) -> Iterator[list[_Piece]]:
    """Yield pieces in lists of about ``_TASK_BYTES``."""
    task: list[_Piece] = []
    size = 0
    for piece in pieces:
        task.append(piece)
        size += len(piece.raw)
        if size >= _TASK_BYTES:
            yield task
            task, size = [], 0
    if task:
        yield task
