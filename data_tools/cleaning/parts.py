"""Score pairs block by block in several processes; each block is a file on disk, so that a killed run goes on."""

from __future__ import annotations

import csv
import itertools
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from hashlib import blake2b
from pathlib import Path

import numpy as np

from pathplugins.core.files import replacing

from .captions import score_caption, tidy
from .pairs import Pair
from .shingles import shingle

PART_ROWS = 5000

NAMES = ("row", "id", "image", "words", "english", "digits", "reference", "length")
"""Columns of the table that one pair alone decides."""
BETWEEN = " | "  #: between the images of a pair in its cell


def write_parts(pairs: Iterator[Pair], folder: Path, workers: int) -> Iterator[int]:
    """Score all pairs into files of ``folder``; yield the number of pairs whenever a block of them is done.

    Blocks that are there already are not scored again.
    """
    pool = ProcessPoolExecutor(workers, _context(), _begin, (os.getpid(),))
    waiting: deque[Future[int]] = deque()
    try:
        for number in itertools.count():
            block = [*itertools.islice(pairs, PART_ROWS)]
            if not block:
                break
            if part_path(folder, number).is_file():
                yield len(block)
                continue
            waiting.append(pool.submit(write_part, block, part_path(folder, number)))
            if len(waiting) > workers + 1:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def part_path(folder: Path, number: int) -> Path:
    """Return the file of a block, which is written last of its two."""
    return folder / f"{number:06}.csv"


def write_part(block: list[Pair], path: Path) -> int:
    """Score one block: the columns ``NAMES`` go to ``path``, numbers and hashes for the joining beside it."""
    clean = [tidy(pair.caption) for pair in block]
    scored = [score_caption(pair.caption, text) for pair, text in zip(block, clean, strict=True)]
    shares = [tuple(round(share, 3) for share in one[1:4]) for one in scored]
    images = [BETWEEN.join(pair.images) for pair in block]
    numbers = {
        "row": np.array([pair.row for pair in block], np.int64),
        "words": np.array([one.words for one in scored], np.int32),
        **{name: np.array([each[at] for each in shares]) for at, name in enumerate(("english", "digits", "reference"))},
        "length": np.array([one.length for one in scored], np.int32),
        "image": np.array([_hashed(image) for image in images], np.uint64),
    }
    with replacing(path.with_suffix(".npz")) as temporary, temporary.open("wb") as stream:
        np.savez(stream, **numbers, **shingle(clean)._asdict())
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        for pair, image, one, share in zip(block, images, scored, shares, strict=True):
            writer.writerow((pair.row, pair.id, image, one.words, *share, one.length))
    return len(block)


def read_parts(folder: Path) -> dict[str, np.ndarray]:
    """Return the numbers and hashes of all blocks, concatenated."""
    blocks: dict[str, list[np.ndarray]] = {}
    for path in sorted(folder.glob("*.csv")):
        with np.load(path.with_suffix(".npz")) as part:
            for name in part.files:
                blocks.setdefault(name, []).append(part[name])
    return {name: np.concatenate(blocks.pop(name)) for name in [*blocks]}


def part_lines(folder: Path) -> Iterator[list[str]]:
    """Yield the columns ``NAMES`` of every pair, in order."""
    for path in sorted(folder.glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as stream:
            yield from csv.reader(stream)


def _hashed(name: str) -> int:
    return int.from_bytes(blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def _context() -> multiprocessing.context.BaseContext:
    return multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")


def _begin(parent: int) -> None:
    """Prepare a worker: the first process receives Ctrl-C, and a worker does not outlive it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)
