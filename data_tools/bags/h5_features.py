"""Read H5 files with features alone: ``features`` or ``feats`` ``[N, D]``, positions in patch files (``--coords``)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pathplugins.data.bags.attributes import described
from pathplugins.data.bags.layout import open_bag
from pathplugins.data.bags.rows import RowReader
from pathplugins.data.bags.shapes import check_features, own_dataset
from pathplugins.data.bags.squeezed import squeezed

from .base import Geometry, Opened, Source
from .h5_bags import sources

__all__ = ["open_source", "sources"]


@contextmanager
def open_source(source: Source) -> Iterator[Opened]:
    """Open the features of a slide."""
    path = str(source.path)
    with open_bag(path) as file:
        features = squeezed(own_dataset(file, "features" if "features" in file else "feats", path))
        check_features(features, path)
        attributes = {name: holder.attrs[name] for holder in (file, features) for name in holder.attrs}
        known = {name: attributes[name] for name in ("encoder", "extractor") if name in attributes}
        yield Opened(
            rows=features.shape[0],
            width=features.shape[1],
            dtype=str(features.dtype.newbyteorder("=")),
            blocks=(block for _, block in RowReader(features).blocks()),
            geometry=Geometry(encoder=described(known, path)["encoder"]),
            coords_xy=None,
        )
