"""Sources of crops: which picture each crop was cut from, so that another one under its name is cut again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from pathplugins.core.content import content_print
from pathplugins.core.json_values import parse_json

NAME = ".crop.sources.jsonl"
_READERS = 16  #: threads that look at files, which is mostly waiting

Stamp = tuple[int, int, str]
"""Size (bytes), modification time (ns) and ``content_print`` of a picture."""


def changed_sources(source: Path, out: Path, done: Sequence[Path]) -> set[Path]:
    """Return which of ``done`` (paths from both folders) were cut from another picture than the one of that name now.

    A file of the same size and time is not read; one that was only moved or copied is the same. A crop that the list
    lacks counts as changed, unless there is no list: earlier versions wrote none.
    """
    if not (out / NAME).exists():
        return set()
    stamps = _stamps(out / NAME)

    def changed(path: Path) -> bool:
        size, mtime_ns, content = stamps.get(path.as_posix(), (-1, -1, ""))
        status = (source / path).stat()
        if (status.st_size, status.st_mtime_ns) == (size, mtime_ns):
            return False
        return status.st_size != size or content_print(source / path) != content

    with ThreadPoolExecutor(_READERS) as pool:
        return {path for path, other in zip(done, pool.map(changed, done), strict=True) if other}


@contextmanager
def recording(out: Path) -> Iterator[TextIO]:
    """Open the list of an output folder, to be continued; what a run that was killed wrote stays valid."""
    with (out / NAME).open("a", encoding="utf-8") as file:
        file.write("\n")  # ends a line that was cut short
        yield file


def record(file: TextIO, source: Path, paths: Iterable[Path]) -> None:
    """Write down the pictures (relative to ``source``) of crops that were written."""
    for path in paths:
        status = (source / path).stat()
        line = [path.as_posix(), status.st_size, status.st_mtime_ns, content_print(source / path)]
        file.write(f"{json.dumps(line)}\n")
    file.flush()


def _stamps(path: Path) -> dict[str, Stamp]:
    found: dict[str, Stamp] = {}
    with path.open(encoding="utf-8") as file:
        for line in file:
            try:
                name, *stamp = parse_json(line)
            except ValueError:  # blank, or cut short by a kill: then its crop is cut again
                continue
            if len(stamp) == 3:
                found[name] = tuple(stamp)
    return found
