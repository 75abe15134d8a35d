"""Read DICOM slides with wsidicom: series that OpenSlide does not take.

Sizes are (w, h), arrays ``[H, W, C]``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pathplugins.core.optional import need

from ..errors import SlideError
from .dicom_series import read_header
from .tiled import TiledHandle, TiledLevel


def open_dicom(path: Path, files: list[Path]) -> TiledHandle:
    """Open the files of one series.

    Args:
        path: The slide as it was given, for messages.
        files: All files of the series, that of the sharpest level first.

    Raises:
        SlideError: wsidicom cannot read it, or not as colours.
        MissingDependencyError: wsidicom is not installed.
    """
    wsidicom, kinds = need("wsidicom", extra="readers"), vars(need("wsidicom.errors", extra="readers")).values()
    own = [kind for kind in kinds if isinstance(kind, type)]  # they share no base
    errors = (*own, ValueError, LookupError, TypeError, AttributeError)
    try:
        slide = wsidicom.WsiDicom.open(files)
    except errors as error:
        raise SlideError(
            f"{path}: wsidicom cannot read these {len(files)} DICOM files ({error}); copy the whole series again"
        ) from error
    try:
        return _handle(path, slide, files, errors)
    except errors as error:
        slide.close()
        if isinstance(error, SlideError):
            raise
        raise SlideError(f"{path}: wsidicom finds no levels ({error}); copy the whole series again") from error
    except BaseException:
        slide.close()
        raise


def _handle(path: Path, slide: Any, files: list[Path], errors: tuple[type[Exception], ...]) -> TiledHandle:
    """Return the handle of an open series."""
    found = sorted(slide.pyramid, key=lambda level: level.level)
    base = found[0].datasets[0]
    if base.samples_per_pixel != 3 or base.bits != 8:
        raise SlideError(
            f"{path}: has {base.samples_per_pixel} samples of {base.bits} bits a pixel, wanted three of 8 "
            "(brightfield); leave it out"
        )
    numbers = [level.level for level in found]
    levels = [
        TiledLevel(
            size_px=(level.size.width, level.size.height), tile_px=(level.tile_size.width, level.tile_size.height)
        )
        for level in found
    ]

    def decode(level: int, column: int, row: int) -> np.ndarray:
        try:
            tile = np.array(slide.read_tile(numbers[level], (column, row)).convert("RGB"))  # [h, w, 3]
        except (*errors, RuntimeError, OSError) as error:
            raise SlideError(
                f"{path}: tile {column}, {row} of level {level} does not decode ({error}); copy the series again"
            ) from error
        tile.setflags(write=False)
        return tile

    focal = len(found[0].focal_planes)
    notes = (f"{path.name} has {focal} focal planes; read is the middle one",) if focal > 1 else ()
    return TiledHandle(
        str(path), levels, decode, properties=_properties(slide, read_header(files[0])), close=slide.close, notes=notes
    )


def _properties(slide: Any, header: Any) -> dict[str, str]:
    """Return resolution and objective under OpenSlide's names."""
    found = {"openslide.vendor": "dicom"}
    mpp = slide.mpp
    if mpp is not None and mpp.width > 0 and mpp.height > 0:
        found |= {"openslide.mpp-x": f"{mpp.width:.10g}", "openslide.mpp-y": f"{mpp.height:.10g}"}
    for path in header.get("OpticalPathSequence", []):
        power = path.get("ObjectiveLensPower")
        if power:
            found["openslide.objective-power"] = f"{float(power):g}"
    return found
