"""Read CZI slides with ZEISS's own library, pylibCZIrw: those with focal planes or samples that OpenSlide refuses.

Sizes are (w, h), arrays ``[H, W, C]``.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np

from pathplugins.core.optional import need

from ..errors import SlideError
from .samples import Samples
from .tiled import TiledHandle, TiledLevel

TILE_PX = 1024  #: side of the blocks that are read at once, pixels of the level read
SMALLEST_PX = 1024  #: levels halve until the longer side is below this
COLOUR_TYPES = {"Bgr24": np.dtype(np.uint8), "Bgr48": np.dtype(np.uint16)}
WHITE = (1.0, 1.0, 1.0)
METRES_TO_MICRONS = 1e6


def open_czi(path: Path) -> TiledHandle:
    """Open a CZI file.

    Raises:
        SlideError: it cannot be read, or not as colours.
        MissingDependencyError: pylibCZIrw is not installed.
    """
    czi = need("pylibCZIrw.czi", extra="readers")
    try:
        reader = czi.CziReader(str(path))
    except (RuntimeError, ValueError, OSError) as error:
        raise SlideError(f"{path}: pylibCZIrw cannot read it ({error}); copy it again") from error
    try:
        return _handle(path, reader)
    except BaseException:
        reader.close()
        raise


def _handle(path: Path, reader: Any) -> TiledHandle:
    """Return the handle of an open file."""
    box, planes = reader.total_bounding_rectangle_no_pyramid, reader.total_bounding_box_no_pyramid
    kinds = sorted(set(reader.pixel_types.values()))
    if len(kinds) != 1 or kinds[0] not in COLOUR_TYPES or len(reader.pixel_types) > 1:
        raise SlideError(
            f"{path}: holds {len(reader.pixel_types)} channels of {', '.join(kinds)}, wanted one of colours "
            f"({' or '.join(COLOUR_TYPES)}); fluorescence is not read here: leave it out"
        )
    if planes.get("T", (0, 1))[1] > 1:
        raise SlideError(f"{path}: has {planes['T'][1]} time points; save one of them as a file")
    depth = planes.get("Z", (0, 1))[1]
    plane = {"C": 0, **({"Z": depth // 2} if "Z" in planes else {}), **({"T": 0} if "T" in planes else {})}
    samples = Samples(str(path), COLOUR_TYPES[kinds[0]], recorded_bits=_recorded_bits(reader.metadata))
    sizes = [(box.w, box.h)]
    while max(sizes[-1]) > SMALLEST_PX:
        sizes.append((max(1, box.w >> len(sizes)), max(1, box.h >> len(sizes))))
    lock = threading.Lock()  # one reader decodes for all threads

    def read(level: int, column: int, row: int) -> np.ndarray:
        step = 2**level
        x, y = column * TILE_PX * step, row * TILE_PX * step
        w, h = (step * min(TILE_PX, side - start // step) for side, start in zip(sizes[level], (x, y), strict=True))
        try:
            with lock:
                bgr = reader.read(roi=(box.x + x, box.y + y, w, h), plane=plane, zoom=1 / step, background_pixel=WHITE)
        except (RuntimeError, ValueError, OSError) as error:
            raise SlideError(f"{path}: the pixels at ({x}, {y}) cannot be read ({error}); copy it again") from error
        return bgr[..., 2::-1]  # [h, w, 3]

    def decode(level: int, column: int, row: int) -> np.ndarray:
        tile = np.ascontiguousarray(samples.to_8_bits(read(level, column, row)))
        tile.setflags(write=False)
        return tile

    samples.check(read(len(sizes) - 1, 0, 0))
    notes = (f"{path.name} has {depth} focal planes; read is number {depth // 2 + 1}",) if depth > 1 else ()
    return TiledHandle(
        str(path),
        [TiledLevel(size_px=size, tile_px=(TILE_PX, TILE_PX)) for size in sizes],
        decode,
        properties=_properties(reader.metadata),
        close=reader.close,
        notes=notes,
    )


def _recorded_bits(metadata: Any) -> int | None:
    """Return the bits in use of the first channel, where the file says so."""
    image = _first(metadata, "ImageDocument", "Metadata", "Information", "Image")
    found = _first(image, "ComponentBitCount") or _first(
        image, "Dimensions", "Channels", "Channel", "ComponentBitCount"
    )
    return int(found) if str(found or "").isdecimal() and int(found) > 0 else None


def _properties(metadata: Any) -> dict[str, str]:
    """Return resolution and objective under OpenSlide's names."""
    found = {"openslide.vendor": "zeiss"}
    distances = _first(metadata, "ImageDocument", "Metadata", "Scaling", "Items", "Distance", whole=True) or []
    for item in distances if isinstance(distances, list) else [distances]:
        axis, metres = str(item.get("@Id", "")).lower(), float(item.get("Value") or 0)
        if axis in ("x", "y") and metres > 0:
            found[f"openslide.mpp-{axis}"] = f"{metres * METRES_TO_MICRONS:.10g}"
    objective = _first(
        metadata,
        "ImageDocument",
        "Metadata",
        "Information",
        "Instrument",
        "Objectives",
        "Objective",
        "NominalMagnification",
    )
    if objective:
        found["openslide.objective-power"] = str(objective)
    return found


def _first(tree: Any, *names: str, whole: bool = False) -> Any:
    """Return what lies below these names in parsed XML, the first of several; None where a name is missing."""
    for name in names:
        tree = tree[0] if isinstance(tree, list) and tree else tree
        tree = tree.get(name) if isinstance(tree, dict) else None
    return tree[0] if isinstance(tree, list) and tree and not whole else tree
