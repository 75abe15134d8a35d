"""Keep exactly the pairs that a published list of names keeps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import write_text_whole
from pathplugins.data.formats.reading.ids import read_ids
from pathplugins.data.records import BadSample

from ..records.report import BadRows
from . import names
from .kept_rows import write_rows
from .pairs import Pair, read_pairs

NOT_FOUND, SEVERAL = "not_found.txt", "several.tsv"  #: ends of the names of what is written beside the pairs


@dataclass(frozen=True, kw_only=True)
class Listed:
    """The outcome."""

    listed: int
    """Names of the list."""
    written: int
    """Pairs kept."""
    not_found: list[str]
    """Names, as listed, that no pair has."""
    several: int
    """Names that several pairs have."""
    report: str
    """Of bad rows; empty without any."""


def keep_listed(source: Path, format_name: str, index: Path, out: Path) -> Listed:
    """Write the pairs whose image is on the list to ``out``; beside it, the names not found and those of several.

    Names are compared without their folders; what is not found so, without the suffix of the picture.

    Raises:
        PathPluginsError: the source or the list cannot be used, or no name of the list is found.
    """
    listed = read_ids(index)
    hits: Counter[str] = Counter()
    with BadRows(beside(out, "bad.jsonl")) as bad:
        rows = _matched(_good(read_pairs(source, format_name), bad), listed, hits, names.name)
        if left := [name for name in listed if not hits[name]]:
            again = (item for item in read_pairs(source, format_name) if isinstance(item, Pair))
            rows += _matched(again, left, hits, names.stem)
        report = bad.text(len(rows))
    not_found = [name for name in listed if not hits[name]]
    if not rows:
        raise PathPluginsError(
            f"{report}\n{index}: none of its {len(listed)} names ({', '.join(listed[:3])}, ...) is an image of {source}"
        )
    several = {name: hits[name] for name in listed if hits[name] > 1}
    written = write_rows(source, np.unique(np.array(rows, np.int64)), out)
    _list(beside(out, NOT_FOUND), not_found)
    _list(beside(out, SEVERAL), [f"{name}\t{count}" for name, count in several.items()])
    return Listed(listed=len(listed), written=written, not_found=not_found, several=len(several), report=report.strip())


def _good(items: Iterator[Pair | BadSample], bad: BadRows) -> Iterator[Pair]:
    for item in items:
        if isinstance(item, BadSample):
            bad.add([item])
        else:
            yield item


def _matched(pairs: Iterator[Pair], listed: list[str], hits: Counter[str], key: Callable[[str], str]) -> list[int]:
    """Return the rows of the pairs that the list names, and count them by name."""
    wanted: dict[str, list[str]] = {}
    for name in listed:
        wanted.setdefault(key(name), []).append(name)
    rows = []
    for pair in pairs:
        named = {name for image in pair.images for name in wanted.get(key(image), ())}
        hits.update(named)
        if named:
            rows.append(pair.row)
    return rows


def beside(out: Path, end: str) -> Path:
    """Return the file beside ``out`` whose name begins with that of ``out``."""
    return out.with_name(f"{out.name}.{end}")


def _list(path: Path, lines: list[str]) -> None:
    """Write the lines; without any, remove what an earlier run wrote."""
    if lines:
        write_text_whole(path, "".join(f"{line}\n" for line in lines))
    else:
        path.unlink(missing_ok=True)
