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
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from hashlib import blake2b
from pathlib import Path

import numpy as np

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import replacing

from .captions import score_caption, tidy
from .pairs import Pair
from .pictures import Picture, look
from .rules import species_code
from .shingles import shingle
from .turned import SIDE

PART_ROWS = 5000  #: pairs of a block
PART_IMAGES = 500  #: pairs of a block whose images are decoded, which takes a hundred times as long

NAMES = ("row", "id", "image", "words", "english", "digits", "reference", "length", "species")
"""Columns of the table that one pair alone decides."""
OF_IMAGES = ("fault", "width", "height", "spread", "gradient")
"""Further ones where images are looked at: a pair with several images has the lowest values among them."""
_NOTHING = np.zeros((SIDE, SIDE), np.uint8)
BETWEEN = " | "  #: between the images of a pair in its cell


def write_parts(
    pairs: Iterator[Pair], folder: Path, workers: int, locate: Callable[[str], str] | None
) -> Iterator[int]:
    """Score all pairs into files of ``folder``; yield the number of pairs whenever a block of them is done.

    Blocks that are there already are not scored again. ``locate`` finds an image; None looks at none.

    Raises:
        PathPluginsError: one of the processes was killed.
    """
    size = PART_IMAGES if locate else PART_ROWS
    pool = ProcessPoolExecutor(workers, context(), _begin, (os.getpid(),))
    waiting: deque[Future[int]] = deque()
    try:
        for number in itertools.count():
            block = [*itertools.islice(pairs, size)]
            if not block:
                break
            if part_path(folder, number).is_file():
                yield len(block)
                continue
            files = locate and [[*map(locate, pair.images)] for pair in block]
            waiting.append(pool.submit(write_part, block, files, part_path(folder, number)))
            if len(waiting) > workers + 1:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise PathPluginsError(
            "a process that scores was ended from outside, perhaps for want of memory; run the same command again to "
            "continue, with fewer --workers"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def part_path(folder: Path, number: int) -> Path:
    """Return the file of a block, which is written last of its two."""
    return folder / f"{number:06}.csv"


def write_part(block: list[Pair], files: list[list[str]] | None, path: Path) -> int:
    """Score one block: its columns of the table go to ``path``, numbers and hashes for the joining beside it.

    Args:
        block: The pairs.
        files: The images of each; None looks at none.
        path: See `part_path`.
    """
    clean = [tidy(pair.caption) for pair in block]
    scored = [score_caption(pair.caption, text) for pair, text in zip(block, clean, strict=True)]
    shares = [tuple(round(share, 3) for share in one[1:4]) for one in scored]
    images = [BETWEEN.join(pair.images) for pair in block]
    numbers = {
        "row": np.array([pair.row for pair in block], np.int64),
        "words": np.array([one.words for one in scored], np.int32),
        **{name: np.array([each[at] for each in shares]) for at, name in enumerate(("english", "digits", "reference"))},
        "length": np.array([one.length for one in scored], np.int32),
        "species": np.array([species_code(one.species) for one in scored], np.int8),
        "image": np.array([_hashed(image) for image in images], np.uint64),
    }
    looked = [_lowest([look(file) for file in each]) for each in files or ()]
    if files is not None:
        numbers["fault"] = np.array([bool(one.fault) for one in looked])
        numbers["side"] = np.array([min(one.width, one.height) for one in looked], np.int32)
        numbers |= {name: np.array([getattr(one, name) for one in looked]) for name in ("spread", "gradient")}
        numbers["compared"] = np.array([one.small is not None for one in looked])
        numbers["small"] = np.stack([one.small if one.small is not None else _NOTHING for one in looked])
    with replacing(path.with_suffix(".npz")) as temporary, temporary.open("wb") as stream:
        np.savez(stream, **numbers, **shingle(clean)._asdict())
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        pictures = (one[: len(OF_IMAGES)] for one in looked) if looked else itertools.repeat(())
        for pair, image, one, share, picture in zip(block, images, scored, shares, pictures, strict=False):
            writer.writerow((pair.row, pair.id, image, one.words, *share, one.length, one.species, *picture))
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
    """Yield the columns of every pair, in order."""
    for path in sorted(folder.glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as stream:
            yield from csv.reader(stream)


def _lowest(pictures: list[Picture]) -> Picture:
    """Return what counts of the images of one pair; several images are compared with no other's."""
    if len(pictures) == 1:
        return pictures[0]
    fault = next((picture.fault for picture in pictures if picture.fault), "")
    least = [min(values) for values in zip(*(picture[1:5] for picture in pictures), strict=True)]
    return Picture(fault, *least, None)


def _hashed(name: str) -> int:
    return int.from_bytes(blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def context() -> multiprocessing.context.BaseContext:
    """Return how processes are started."""
    return multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")


def _begin(parent: int) -> None:
    """Prepare a worker: the first process receives Ctrl-C, and a worker does not outlive it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)
