"""Masks from images: a picture of the whole slide, or of its scanned part, whose pixels above zero are tissue.

A TIFF with levels (ASAP, Camelyon) is read at the smallest level that is sharp enough, and one without levels strip by
strip, so that no mask is too large. A mask with few values holds labels; one of them can be taken by its number.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.optional import need
from pathplugins.data.images import DAMAGE

from ..slides.bounds import Bounds
from ..slides.damage import TIFF_HEADS
from ..slides.slide import SlideError

ASPECT_TOLERANCE = 0.02  #: thumbnails are rounded to whole pixels; more than this is the mask of another slide
PILLOW_PX = 64 * 2**20  #: TIFFs with more pixels are read by tifffile, level by level
MOST_LABELS = 32  #: more values than this are shades, not labels
MOST_COLOURS = 256  #: a picture with more colours (5 bits each) is a photograph


class MaskPixels(NamedTuple):
    """A mask as read."""

    mask: np.ndarray
    """Bool ``[H, W]``, reduced to the shape asked for if it has more pixels."""
    size_px: tuple[int, int]
    """(w, h) of the image."""
    notes: tuple[str, ...]


def read_mask_image(path: Path, content: bytes, *, label: int | None, shape: tuple[int, int]) -> MaskPixels:
    """Read a mask image.

    JPEG has no exact zeros beside an edge; in a JPEG, pixels above half of the brightest one are tissue.

    Args:
        path: The file, for messages.
        content: What it holds.
        label: The value that is tissue; None takes every one above 0. An alpha channel does not count.
        shape: (H, W) to reduce larger images to; coarser ones stay as they are.

    Raises:
        SlideError: it cannot be read, or is no mask.
    """
    try:
        image = _opened(content)
        if image is None:
            return _large_tiff(path, content, label=label, shape=shape)
        one_band = len(image.getbands()) == 1  # a palette image is read as its indices
        pixels = np.asarray(image if one_band else image.convert("RGB"))
    except PathPluginsError:
        raise
    except (*DAMAGE, Image.DecompressionBombError) as error:
        raise SlideError(f"{path}: not a readable mask image ({error}); export it again, smaller or as PNG") from error
    lossy = image.format == "JPEG" or image.info.get("compression") == "jpeg"
    mask, notes = _tissue(path, pixels, label=label, lossy=lossy)
    return MaskPixels(_reduced(mask, shape), image.size, notes)


def _opened(content: bytes) -> Image.Image | None:
    """Open an image with Pillow; None for a TIFF of too many pixels."""
    is_tiff = content[:4] in TIFF_HEADS
    try:
        image = Image.open(io.BytesIO(content))
    except Image.DecompressionBombError:
        if is_tiff:
            return None
        raise
    return None if is_tiff and image.size[0] * image.size[1] > PILLOW_PX else image


def place(
    path: Path,
    read: MaskPixels,
    *,
    size_px0: tuple[int, int],
    scanned: Bounds | None,
    frame: str | None,
    shape: tuple[int, int],
) -> np.ndarray:
    """Return a mask as bool ``[H, W]`` over the whole slide; one of the scanned part alone is put in its place.

    Args:
        path: The file, for messages.
        read: The mask.
        size_px0: (w, h) of the slide.
        scanned: Its scanned part; None for the whole slide.
        frame: ``level0`` for a mask of the whole slide, ``qupath`` for one of the scanned part; None goes by the
            ratio of its sides.
        shape: (H, W) of a mask that has to be put in its place.

    Raises:
        SlideError: it has the sides of neither, or of both.
    """
    whole = _fits(read.size_px, size_px0)
    if scanned is None or scanned == (0, 0, *size_px0):
        frame, part = "level0", False
    else:
        part = _fits(read.size_px, (scanned.w, scanned.h))
    if frame is None and whole and part:
        raise SlideError(
            f"{path}: its sides fit the whole slide, {size_px0}, and its scanned part, {(scanned.w, scanned.h)}; pass "
            "--mask-frame level0 for a mask of the whole slide (ASAP, OpenSlide), or qupath for the part QuPath shows"
        )
    frame = frame or ("qupath" if part else "level0")
    if not (part if frame == "qupath" else whole):
        raise SlideError(_of_another(path, read.size_px, (scanned.w, scanned.h) if frame == "qupath" else size_px0))
    if frame == "level0":
        return read.mask
    (h, w), (w0, h0) = shape, size_px0
    left, right = (round(x * w / w0) for x in (scanned.x, scanned.x + scanned.w))
    top, bottom = (round(y * h / h0) for y in (scanned.y, scanned.y + scanned.h))
    fitted = _reduced(read.mask, (max(1, bottom - top), max(1, right - left)), exactly=True)
    mask = np.zeros(shape, bool)
    mask[top : top + len(fitted), left : left + fitted.shape[1]] = fitted[: h - top, : w - left]
    return mask


def _tissue(path: Path, pixels: np.ndarray, *, label: int | None, lossy: bool) -> tuple[np.ndarray, tuple[str, ...]]:
    """Tell the tissue in pixels ``[H, W]`` or ``[H, W, 3]``: bool ``[H, W]``, and what to note."""
    if pixels.ndim == 3 and not lossy:
        _refuse_photograph(path, pixels)
    brightest = pixels if pixels.ndim == 2 else pixels.max(axis=2)  # [H, W]
    if lossy:
        if label is not None:
            raise SlideError(f"{path}: JPEG does not keep labels; leave --mask-class out, or export it as PNG")
        return brightest > brightest.max() / 2, ()
    values = _values(pixels) if pixels.ndim == 2 and pixels.dtype.kind in "bui" else []
    labels = [value for value in values if value]
    if label is not None:
        if label not in labels:
            raise SlideError(
                f"{path}: no pixel is {label}; it has {_listed(labels)}: pass one of those as --mask-class"
            )
        return brightest == label, ()
    if not 1 < len(labels) <= MOST_LABELS:
        return brightest > 0, ()
    if len(labels) == len(values):
        raise SlideError(
            f"{path}: every pixel is one of {_listed(labels)} and none is 0, which means no tissue here: pass the "
            "value of tissue as --mask-class, or make the background 0"
        )
    return brightest > 0, (f"{path.name}: {_listed(labels)} are all taken (--mask-class {labels[0]} takes one)",)


def _values(pixels: np.ndarray) -> list[int]:
    """Return the values that occur, ascending; taken in bands, which sort in little memory."""
    bands = np.array_split(pixels, max(1, len(pixels) // 1024))
    return [int(value) for value in np.unique(np.concatenate([np.unique(band) for band in bands]))]


def _listed(labels: list[int]) -> str:
    return "the values " + ", ".join(map(str, labels[:MOST_LABELS]))


def _refuse_photograph(path: Path, pixels: np.ndarray) -> None:
    """Refuse pixels ``[H, W, 3]`` with the many colours of a thumbnail."""
    step = max(1, max(pixels.shape[:2]) // 512)
    coarse = (pixels[::step, ::step] >> 3).astype(np.int32).reshape(-1, 3)
    if len(np.unique(coarse @ np.array([1024, 32, 1]))) > MOST_COLOURS and np.ptp(coarse, axis=1).max() > 4:
        raise SlideError(
            f"{path}: has the many colours of a photograph, not those of a mask; give the mask of the slide, whose "
            "pixels are 0 where there is no tissue"
        )


def _large_tiff(path: Path, content: bytes, *, label: int | None, shape: tuple[int, int]) -> MaskPixels:
    """Read a TIFF with more pixels than memory should hold, at a level that is sharp enough or in pieces."""
    tifffile = need("tifffile")
    try:
        with tifffile.TiffFile(io.BytesIO(content)) as tiff:
            first, page = tiff.pages[0], _level(list(tiff.pages), shape)
            size = first.imagewidth, first.imagelength
            if page.imagewidth * page.imagelength <= PILLOW_PX:
                mask, notes = _tissue(path, _plane(page.asarray()), label=label, lossy=_lossy(page))
                return MaskPixels(_reduced(mask, shape), size, notes)
            return MaskPixels(_in_pieces(page, label=label, shape=shape), size, ())
    except (tifffile.TiffFileError, ValueError, KeyError, OSError) as error:
        raise SlideError(f"{path}: not a readable mask image ({error}); export it again, smaller or as PNG") from error


def _level(pages: list[Any], shape: tuple[int, int]) -> Any:
    """Return the smallest page that is the first one reduced, and has at least the (H, W) asked for."""
    first, (h, w) = pages[0], shape
    levels = [first]
    for page in pages[1:]:
        factor = max(1, round(first.imagewidth / page.imagewidth))
        odd = abs(page.imagewidth * factor - first.imagewidth), abs(page.imagelength * factor - first.imagelength)
        if max(odd) <= 2 * factor and page.imagewidth >= w and page.imagelength >= h:  # sizes are rounded
            levels.append(page)
    return min(levels, key=lambda page: page.imagewidth)


def _in_pieces(page: Any, *, label: int | None, shape: tuple[int, int]) -> np.ndarray:
    """Read a page tile by tile; a pixel of the result is tissue where most of those in it are."""
    (h, w), (full_h, full_w) = shape, (page.imagelength, page.imagewidth)
    counts = np.zeros(shape, np.int64)
    limit = 127 if _lossy(page) else 0
    for segment, place_at, size in page.segments():
        if segment is None:  # a tile that was never written
            continue
        tile = _plane(segment.reshape(segment.shape[-3:]))
        top, left = place_at[-3:-1]
        tile = tile[: min(size[-3], full_h - top), : min(size[-2], full_w - left)]
        inside = tile == label if label is not None else tile > limit
        if inside.any():
            rows, row_starts = _cells(top, len(inside), h, full_h)
            columns, column_starts = _cells(left, inside.shape[1], w, full_w)
            by_row = np.add.reduceat(inside, row_starts, axis=0, dtype=np.int64)
            counts[rows, columns] += np.add.reduceat(by_row, column_starts, axis=1)
    return counts * 2 * (h * w) > full_h * full_w


def _cells(start: int, length: int, cells: int, of: int) -> tuple[slice, np.ndarray]:
    """Return which of ``cells`` along a side of ``of`` pixels a piece of it lies in, and where in it each begins."""
    numbers = np.arange(start, start + length) * cells // of
    return slice(numbers[0], numbers[-1] + 1), np.flatnonzero(np.diff(numbers, prepend=-1))


def _plane(pixels: np.ndarray) -> np.ndarray:
    """Return ``[H, W]``: the brightest channel of a page or tile."""
    return pixels if pixels.ndim == 2 else pixels[..., :3].max(axis=-1)


def _lossy(page: Any) -> bool:
    return int(page.compression) == 7


def _reduced(mask: np.ndarray, shape: tuple[int, int], *, exactly: bool = False) -> np.ndarray:
    """Reduce a mask to (H, W) ``shape`` by majority; one with fewer pixels stays, unless ``exactly``."""
    if mask.size <= shape[0] * shape[1]:
        if not exactly or mask.shape == shape:
            return mask
        return np.asarray(Image.fromarray(mask).resize(shape[::-1], Image.Resampling.NEAREST))
    reduced = Image.fromarray(mask.astype(np.uint8) * 255).resize(shape[::-1], Image.Resampling.BOX)
    return np.asarray(reduced) > 127


def _fits(size_px: tuple[int, int], size_px0: tuple[int, int]) -> bool:
    """Return whether two sizes (w, h) have the same ratio of sides, half a pixel of rounding aside."""
    ratio = size_px[0] / size_px[1] / (size_px0[0] / size_px0[1])
    return abs(ratio - 1) <= ASPECT_TOLERANCE + 0.5 / min(size_px)


def _of_another(path: Path, size_px: tuple[int, int], size_px0: tuple[int, int]) -> str:
    (w, h), (w0, h0) = size_px, size_px0
    return (
        f"{path}: {w} x {h} pixels but its slide is {w0} x {h0}: the sides are {w / h:.3f} to 1, not "
        f"{w0 / h0:.3f}; a mask covers the whole slide, so export it again from this one"
    )
