"""Image-caption pairs of a file, as ``pathdata convert`` reads them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.formats import READERS
from pathplugins.data.records import BadSample, Record, check_record

from ..splits.row_files import SUFFIXES

FORMATS = ("pallava_captions", "llava", "path_cap", "pmc_oa", "pubmedvision", "quilt_1m")
"""Record formats whose rows are image-caption pairs, one a row; the first is the usual one."""


class Pair(NamedTuple):
    """An image and its caption; some data sets give one caption to several images."""

    row: int
    """As `Record.row`."""
    id: str
    """As the file writes it, or made of the image's name."""
    caption: str
    """The last answer, stripped."""
    images: tuple[str, ...]
    """As the file writes them."""


def read_pairs(source: Path, format_name: str) -> Iterator[Pair | BadSample]:
    """Yield the pairs of a file and its bad rows, in order.

    Raises:
        PathPluginsError: the source is no single file of rows, or not of this format.
    """
    if source.is_dir() or source.suffix not in SUFFIXES:
        raise PathPluginsError(f"{source}: pairs are cleaned file by file; give one of {', '.join(SUFFIXES)}")
    for draft in READERS.get(format_name).stream(source).drafts():
        if isinstance(draft, BadSample):
            yield draft
        elif isinstance(draft, Record):
            yield check_record(draft) or _pair(draft)


def _pair(record: Record) -> Pair | BadSample:
    if not record.images:
        detail = f"{record.id} has no image; expected an image and its caption"
        return BadSample(source=record.source, row=record.row, reason="no image", detail=detail)
    return Pair(record.row, record.id, record.conversations[-1].text.strip(), record.images)
