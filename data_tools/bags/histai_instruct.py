"""HISTAI-Instruct's features: one H5 file, ``embeddings/<slide>/features`` ``[N, D]``, no positions.

They are PRISM's latents, which stand for no place of a slide: write them with ``--to bare``. The conversations in the
same file (``text_attributes``) are read by the record format ``histai_instruct``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pathplugins.data.bags.layout import open_bag
from pathplugins.data.bags.rows import RowReader
from pathplugins.data.bags.shapes import check_features, own_dataset
from pathplugins.data.bags.squeezed import squeezed

from .base import Geometry, Opened, Source, group_of

EMBEDDINGS = "embeddings"


def sources(path: Path, kind: str) -> list[Source]:
    """Return one slide per group."""
    with open_bag(path) as file:
        names = sorted(file[EMBEDDINGS])
    return [Source(path=path, kind=kind, slide_id=name, group=f"{EMBEDDINGS}/{name}") for name in names]


@contextmanager
def open_source(source: Source) -> Iterator[Opened]:
    """Open the features in a slide's group."""
    where = str(source)
    with open_bag(source.path) as file:
        features = squeezed(own_dataset(group_of(file, source), "features", where))
        check_features(features, where)
        yield Opened(
            rows=features.shape[0],
            width=features.shape[1],
            dtype=str(features.dtype.newbyteorder("=")),
            blocks=(block for _, block in RowReader(features).blocks()),
            geometry=Geometry(),
            coords_xy=None,
        )
