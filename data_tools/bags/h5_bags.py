"""H5 files with one slide each: our bags, and those of CLAM, TRIDENT and STAMP.

CLAM's positions are level-0 pixels although nothing in the file says so: they are copied from its patch files.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.bags.coords import read_coords
from pathplugins.data.bags.layout import open_bag, read_layout
from pathplugins.data.bags.rows import RowReader

from .base import Geometry, Opened, Source

_TRIDENT_FOLDER = "features_"


def sources(path: Path, kind: str) -> list[Source]:
    """Return the one slide of the file."""
    return [Source(path=path, kind=kind, slide_id=path.stem)]


@contextmanager
def open_source(source: Source) -> Iterator[Opened]:
    """Open the features of a slide."""
    path = str(source.path)
    with open_bag(path) as file:
        info, features, coords, checksums = read_layout(file, path)
        geometry = Geometry.of(info)
        if info.convention == "stamp" and info.units != "um":
            raise PathPluginsError(
                f"{path}: STAMP's positions without the attribute unit=um (made before version 2.1?) are in an "
                "unknown unit; make them again with STAMP 2.1 or later"
            )
        if geometry.encoder is None and source.path.parent.name.startswith(_TRIDENT_FOLDER):
            geometry = replace(geometry, encoder=source.path.parent.name.removeprefix(_TRIDENT_FOLDER))
        yield Opened(
            rows=info.rows,
            width=info.width,
            dtype=info.dtype,
            blocks=(block for _, block in RowReader(features, checksums).blocks()),
            geometry=geometry,
            coords_xy=np.ascontiguousarray(read_coords(coords, info)),
            unit=info.units,
        )
