"""Open a slide with the reader that reads it right: OpenSlide, else the one of its format, else as a plain image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from pathplugins.core.errors import MissingDependencyError
from pathplugins.core.files import is_file
from pathplugins.core.nearest import near_path
from pathplugins.core.optional import need

from ..damage import TIFF_HEADS, damage
from ..errors import SlideError
from ..tile_cache import cache_bytes
from . import czi, dicom, dicom_series, ome_zarr, tiff
from .tiff_pages import needs_tifffile

IMAGE_MODES = frozenset(("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr"))  #: of plain images
USUAL_TILE_PX = 256  #: height of tiles where OpenSlide does not tell it
MIRAX_MARK = "Slidedat.ini"  #: in the folder of data beside an MRXS file


@dataclass(frozen=True, kw_only=True)
class Opened:
    """An open slide."""

    handle: Any
    """Has OpenSlide's names."""
    reader: str
    """Package that reads it."""
    image_dpi: float | None = None
    """Dots per inch of a plain image that records them."""


def open_slide(path: Path) -> Opened:
    """Open a slide file, a folder of one DICOM series or of OME-Zarr, or a plain image.

    Raises:
        SlideError: nothing can read it; the message says what it is, where that is known.
        MissingDependencyError: the reader of its format is not installed.
    """
    if path.is_dir():
        return _open_folder(path)
    if not is_file(path):
        raise SlideError(f"{path}: no such slide file{near_path(path) or '; correct the path'}")
    openslide = need("openslide")
    vendor = openslide.OpenSlide.detect_format(path)
    if vendor in (None, "generic-tiff") and _is_tiff(path) and _openslide_misreads(path, vendor):
        return Opened(handle=tiff.open_tiff(path), reader="tifffile")
    if vendor is None:
        if dicom_series.is_dicom(path):
            return _open_series(path, path)
        return _open_image(path, openslide)
    try:
        return Opened(handle=_openslide(path, openslide), reader="openslide")
    except openslide.OpenSlideError as error:
        return _open_other(path, vendor, error)


def _open_other(path: Path, vendor: str, error: Exception) -> Opened:
    """Open a slide whose format OpenSlide knows but whose pixels it cannot read."""
    others: dict[str, tuple[str, Callable[[], Any]]] = {
        "generic-tiff": ("tifffile", lambda: tiff.open_tiff(path)),
        "aperio": ("tifffile", lambda: tiff.open_tiff(path)),
        "dicom": ("wsidicom", lambda: dicom.open_dicom(path, list(dicom_series.series_at(path).files))),
        "zeiss": ("pylibCZIrw", lambda: czi.open_czi(path)),
    }
    if vendor not in others or damage(path):
        reason = damage(path) or "check it, or copy it again"
        raise SlideError(f"{path}: OpenSlide cannot read it ({error}); {reason}") from error
    name, reader = others[vendor]
    try:
        return Opened(handle=reader(), reader=name)
    except (SlideError, MissingDependencyError) as second:
        raise type(second)(f"{second} (OpenSlide: {error})") from second


def _open_folder(path: Path) -> Opened:
    """Open a folder that is a slide."""
    if ome_zarr.is_zarr(path):
        return Opened(handle=ome_zarr.open_zarr(path), reader="zarr")
    if (path / MIRAX_MARK).is_file():
        raise SlideError(f"{path}: holds the data of an MRXS slide; give {path.with_suffix('.mrxs').name} beside it")
    if not dicom_series.dicom_files(path):
        raise SlideError(f"{path}: a folder that is no slide (neither DICOM nor OME-Zarr); give a slide file")
    return _open_series(path, dicom_series.series_at(path).files[0])


def _open_series(path: Path, first: Path) -> Opened:
    """Open the DICOM series of a file; ``path`` is what was given."""
    openslide = need("openslide")
    try:
        if openslide.OpenSlide.detect_format(first) is not None:
            return Opened(handle=_openslide(first, openslide), reader="openslide")
    except openslide.OpenSlideError as error:
        return _open_other(first, "dicom", error)
    return Opened(handle=dicom.open_dicom(path, list(dicom_series.series_at(first).files)), reader="wsidicom")


def _openslide(path: Path, openslide: Any) -> Any:
    """Open a slide with OpenSlide, with a cache that fits it."""
    handle = openslide.OpenSlide(path)
    if int(openslide.__library_version__.split(".")[0]) >= 4:  # older ones have no cache to set
        tile_height = int(handle.properties.get("openslide.level[0].tile-height", USUAL_TILE_PX))
        row_bytes = 4 * tile_height * handle.dimensions[0]
        handle.set_cache(openslide.OpenSlideCache(cache_bytes(row_bytes)))  # its own 32 MiB are soon outgrown
    return handle


def _is_tiff(path: Path) -> bool:
    """Return whether a file begins as a TIFF."""
    with path.open("rb") as file:
        return file.read(4) in TIFF_HEADS


def _openslide_misreads(path: Path, vendor: str | None) -> bool:
    """Return whether a TIFF is one that OpenSlide, or Pillow, would read as something else than its colours."""
    tifffile = need("tifffile")
    if damage(path):
        return False  # the reader that follows says what is wrong
    try:
        with tifffile.TiffFile(path) as found:
            if vendor is None and found.pages[0].is_tiled:
                return True
            return needs_tifffile(found)
    except (tifffile.TiffFileError, ValueError, LookupError, TypeError):
        return False


def _open_image(path: Path, openslide: Any) -> Opened:
    """Open a file that is no slide for OpenSlide, as a plain image."""
    try:
        if reason := damage(path):
            raise SlideError(f"{path}: {reason}")
        image = Image.open(path)
        image.load()  # now, not at the first read: decoding is not safe in several threads
    except Image.DecompressionBombError as error:
        raise SlideError(
            f"{path}: too large for an image without tiles, which has to be decoded whole ({error}); convert it to a "
            f"tiled TIFF, e.g. vips tiffsave {path.name} {path.stem}.tif --tile --pyramid --compression jpeg --bigtiff"
        ) from error
    except OSError as error:
        raise SlideError(
            f"{path}: neither OpenSlide (no format that it recognises) nor Pillow ({error}) can read it; check it, or "
            "copy it again"
        ) from error
    if image.mode not in IMAGE_MODES:
        raise SlideError(
            f"{path}: its pixels are {image.mode!r}, which have no obvious 8-bit colours; save it as 8-bit RGB or grey"
        )
    dpi = image.info.get("dpi")
    handle = openslide.ImageSlide(image.convert("RGBA"))
    return Opened(handle=handle, reader="openslide", image_dpi=float(dpi[0]) if dpi else None)
