"""SlideChat's features: a CSV per slide, header ``0,1,2,...``, a patch a line, no positions."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from pathplugins.core.errors import PathPluginsError

from .base import Geometry, Opened, Source
from .kinds import feature_columns

_BLOCK_LINES = 4096


def sources(path: Path, kind: str) -> list[Source]:
    """Return the one slide of the file."""
    return [Source(path=path, kind=kind, slide_id=path.stem)]


@contextmanager
def open_source(source: Source) -> Iterator[Opened]:
    """Open the features of a slide, after counting the lines of its file."""
    width = feature_columns(source.path)
    if width is None:
        raise PathPluginsError(
            f"{source.path}: its first line is not 0,1,2,... as in SlideChat's features; export it again"
        )
    with source.path.open("rb") as stream:
        rows = sum(bool(line.strip()) for line in stream) - 1
    if not rows:
        raise PathPluginsError(f"{source.path}: has a header and no rows; leave the slide out or extract it again")
    with source.path.open(encoding="utf-8-sig") as stream:
        stream.readline()
        yield Opened(
            rows=rows,
            width=width,
            dtype="float32",
            blocks=_blocks(stream, source.path, width),
            geometry=Geometry(),
            coords_xy=None,
        )


def _blocks(stream: Iterator[str], path: Path, width: int) -> Iterator[np.ndarray]:
    done = 0
    while lines := list(itertools.islice((line for line in stream if line.strip()), _BLOCK_LINES)):
        try:
            block = np.loadtxt(lines, dtype=np.float32, delimiter=",", ndmin=2, comments=None)  # [b, D]
        except ValueError as error:
            raise PathPluginsError(
                f"{path}: among rows {done} to {done + len(lines) - 1}: {error}; expected {width} numbers a line"
            ) from error
        if block.shape[1] != width:
            raise PathPluginsError(
                f"{path}: row {done} has {block.shape[1]} numbers, its header {width}; copy it again"
            )
        yield block
        done += len(block)
