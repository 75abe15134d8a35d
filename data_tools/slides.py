"""Slides: open one, know its size, read pixels from it.

Sizes are (w, h), positions (x, y) and arrays ``[H, W, C]``; ``_px0`` is level-0 pixels, ``_px`` pixels as read.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from PIL import Image

from pathplugins.core.errors import PathPluginsError

from .optional import need

SLIDE_SUFFIXES = frozenset(
    (".svs", ".tif", ".tiff", ".ndpi", ".mrxs", ".scn", ".bif", ".vms", ".vmu", ".svslide", ".png", ".jpg", ".jpeg")
)  #: what a folder is searched for
BLOCK_PX = 4096  #: side of the largest region read at once for a thumbnail, pixels of the level read
LEVEL_TOLERANCE = 1.01  #: pyramids are rounded (4.0003 instead of 4); such a level still counts as sharp enough


class SlideError(PathPluginsError):
    """A slide that cannot be used; the message names the file."""


class Slide:
    """An open slide or plain image; safe to read from several threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.slide_id = path.stem
        self._handle, self.image_dpi = _open(path)

    @property
    def size_px0(self) -> tuple[int, int]:
        """(w, h) of the sharpest level."""
        return self._handle.dimensions

    @property
    def downsamples(self) -> tuple[float, ...]:
        """Downsample of every level, 1.0 first."""
        return tuple(float(d) for d in self._handle.level_downsamples)

    @property
    def properties(self) -> dict[str, str]:
        """The properties OpenSlide found; empty for a plain image."""
        return dict(self._handle.properties)

    def read(self, x_px0: int, y_px0: int, size_px0: tuple[int, int], size_px: tuple[int, int]) -> np.ndarray:
        """The level-0 box at (x, y), as ``size_px`` pixels of RGB on white.

        Read from the nearest level that is at least as sharp as asked for, then resized.

        Returns:
            uint8 ``[H, W, 3]``.
        """
        wanted = min(size_px0[0] / size_px[0], size_px0[1] / size_px[1])
        level = self._level_for(wanted)
        scale = self.downsamples[level]
        at_level = (max(1, round(size_px0[0] / scale)), max(1, round(size_px0[1] / scale)))
        region = _on_white(self._handle.read_region((int(x_px0), int(y_px0)), level, at_level))
        if at_level != size_px:
            region = region.resize(size_px, Image.Resampling.BICUBIC)
        return np.asarray(region)  # [H, W, 3]

    def thumbnail(self, size_px: tuple[int, int]) -> np.ndarray:
        """The whole slide as uint8 ``[H, W, 3]``, read block by block so that memory stays bounded."""
        (w, h), (w0, h0) = size_px, self.size_px0
        scale = min(w0 / w, h0 / h)
        block = max(1, int(BLOCK_PX * self.downsamples[self._level_for(scale)] / scale))
        canvas = np.empty((h, w, 3), np.uint8)
        for top in range(0, h, block):
            for left in range(0, w, block):
                right, bottom = min(left + block, w), min(top + block, h)
                x, y = left * w0 // w, top * h0 // h
                box_px0 = (right * w0 // w - x, bottom * h0 // h - y)
                canvas[top:bottom, left:right] = self.read(x, y, box_px0, (right - left, bottom - top))
        return canvas

    def close(self) -> None:
        """Let go of the file."""
        self._handle.close()

    def __enter__(self) -> Slide:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _level_for(self, downsample: float) -> int:
        """The blurriest level that is still at least as sharp as ``downsample``."""
        sharp = [i for i, d in enumerate(self.downsamples) if d <= downsample * LEVEL_TOLERANCE]
        return max(sharp, key=lambda i: self.downsamples[i], default=0)


def _open(path: Path) -> tuple[Any, float | None]:
    """The OpenSlide handle, and the dots per inch when it is a plain image that records them."""
    openslide = need("openslide")
    if not path.is_file():
        raise SlideError(f"{path}: no such slide file")
    try:
        if openslide.OpenSlide.detect_format(path) is not None:
            return openslide.OpenSlide(path), None
        image = Image.open(path)
        image.load()  # now, not at the first read: decoding is not safe in several threads
    except (openslide.OpenSlideError, OSError, Image.DecompressionBombError) as error:
        raise SlideError(f"{path}: neither OpenSlide nor Pillow can read it ({error}); check or re-copy it") from error
    dpi = image.info.get("dpi")
    return openslide.ImageSlide(image.convert("RGBA")), float(dpi[0]) if dpi else None


def _on_white(region: Image.Image) -> Image.Image:
    """Without alpha: parts the scanner left out are background, and background is white."""
    if region.getextrema()[3][0] < 255:
        region = Image.alpha_composite(Image.new("RGBA", region.size, "white"), region)
    return region.convert("RGB")


def find_slides(given: list[Path], *, outside: Path) -> list[Path]:
    """The slide files among files and folders, folders searched to any depth except below ``outside``.

    Raises:
        SlideError: a path that does not exist, a folder without slides, or two slides with one name.
    """
    found: dict[str, Path] = {}
    for path in given:
        if path.is_dir():
            slides = sorted(p for p in path.rglob("*") if p.suffix.lower() in SLIDE_SUFFIXES and p.is_file())
            slides = [p for p in slides if outside.resolve() not in p.resolve().parents]
            if not slides:
                raise SlideError(f"{path}: no slides in this folder; looked for {' '.join(sorted(SLIDE_SUFFIXES))}")
        elif path.is_file():
            slides = [path]
        else:
            raise SlideError(f"{path}: no such file or folder")
        for slide in slides:
            other = found.setdefault(slide.stem, slide)
            if other.resolve() != slide.resolve():
                raise SlideError(
                    f"two slides are called {slide.stem!r}: {other} and {slide}; outputs are named by slide, "
                    "so rename one or give them separate --out folders"
                )
    return list(found.values())
