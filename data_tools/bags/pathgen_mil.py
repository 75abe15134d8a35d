"""PathGen's MIL features: one H5 file, a group per slide with ``feat`` ``[N, D]`` and ``coords`` ``[N, 2]``.

Positions are (x, y) level-0 pixels; the attribute ``label`` of a group is a class of the slide and is not carried over.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pathplugins.data.bags.coords import read_coords
from pathplugins.data.bags.layout import BagInfo, open_bag
from pathplugins.data.bags.rows import RowReader
from pathplugins.data.bags.shapes import check_shapes, own_dataset
from pathplugins.data.bags.squeezed import squeezed

from .base import Geometry, Opened, Source, group_of


def sources(path: Path, kind: str) -> list[Source]:
    """Return one slide per group."""
    with open_bag(path) as file:
        return [Source(path=path, kind=kind, slide_id=name, group=name) for name in sorted(file)]


@contextmanager
def open_source(source: Source) -> Iterator[Opened]:
    """Open the features in a slide's group."""
    where = str(source)
    with open_bag(source.path) as file:
        group = group_of(file, source)
        features, coords = (squeezed(own_dataset(group, key, where)) for key in ("feat", "coords"))
        check_shapes(features, coords, where)
        n, d = features.shape
        info = BagInfo(path=where, rows=n, width=d, dtype=str(features.dtype.newbyteorder("=")), convention="clam")
        yield Opened(
            rows=n,
            width=d,
            dtype=info.dtype,
            blocks=(block for _, block in RowReader(features).blocks()),
            geometry=Geometry(),
            coords_xy=read_coords(coords, info),
        )
