"""Levels of a pyramid: which of them are scaled copies of level 0, and by how much.

OpenSlide takes the downsample of a level from its size. That is wrong for levels padded to whole tiles (Philips, some
DICOM): 2560 x 2048 pixels at a 4th, in tiles of 256, are stored as 768 x 512, which reads as a 3.67th and puts tissue
elsewhere. And a picture of the glass can be stored where a level would be. So a level is taken as recorded only where
its sides are those of level 0 over a power of two. Any other is compared with the level above it, by their pixels in a
few windows, under each explanation of its size; the best one counts, or the level is left out.

Sizes are (w, h), positions (x, y), arrays ``[H, W, C]``; ``_px0`` is level-0 pixels, ``_px`` pixels of the level.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageFilter

from .openslide_pixels import read_on_white

ROUNDING_PX = 2.0  #: by which the sides of a level may be off
USUAL_TILE_PX = 512  #: side of tiles where the slide does not tell it
WINDOW_PX = 128  #: side of the windows compared, pixels of the level in question
WINDOWS = 3  #: at most so many across, and so many down
MOST_REFERENCE_PX = 4 * 2**20  #: pixels of the sharper level read for one comparison
MOST_STRETCH = 1.1  #: rounding stretches tiny levels by less than this; a copy is not stretched more
LEAST_CONTRAST = 2.0  #: standard deviation of grey values below which nothing can be compared
ALIKE = 0.85  #: correlation of copies; on drawn slides these have 0.99, and shifts of a few percent up to 0.79


@dataclass(frozen=True, kw_only=True)
class Level:
    """One level that shows the slide."""

    number: int
    """Its number in the file, as ``read_region`` takes it."""
    recorded: float
    """Downsample by which ``read_region`` places level-0 positions on it."""
    scale_xy: tuple[float, float]
    """True level-0 pixels per pixel of the level."""
    size_px: tuple[int, int]
    """The part of the level that shows the slide; beyond is padding."""

    @property
    def downsample(self) -> float:
        """True downsample."""
        return sum(self.scale_xy) / 2

    @property
    def as_recorded(self) -> bool:
        """Whether programs that believe the size of the level place positions rightly."""
        return self.scale_xy == (self.recorded, self.recorded)

    def position(self, x_px0: float, y_px0: float) -> tuple[int, int]:
        """Return the position to give to ``read_region`` for the pixels at a level-0 position."""
        if self.as_recorded:
            return int(x_px0), int(y_px0)
        return round(x_px0 / self.scale_xy[0] * self.recorded), round(y_px0 / self.scale_xy[1] * self.recorded)


class Levels(NamedTuple):
    """The levels to read."""

    usable: tuple[Level, ...]
    """The sharpest first."""
    note: str | None
    """Which levels are padded or left out."""


def usable_levels(handle: Any) -> Levels:
    """Return the levels of a slide that are scaled copies of level 0.

    Args:
        handle: An open ``OpenSlide``, or what has its names.
    """
    sizes = [tuple(size) for size in handle.level_dimensions]
    usable = [Level(number=0, recorded=1.0, scale_xy=(1.0, 1.0), size_px=sizes[0])]
    padded: list[str] = []
    others: list[str] = []
    for number in range(1, len(sizes)):
        recorded, size = float(handle.level_downsamples[number]), sizes[number]
        if _is_power_of_two(sizes[0], size) and recorded > usable[-1].downsample * (1 + 1 / min(size)):
            level = Level(number=number, recorded=recorded, scale_xy=(recorded, recorded), size_px=size)
        else:
            level = _by_content(handle, number, usable[-1])
        if level is None:
            others.append(f"{number} ({size[0]} x {size[1]})")
            continue
        if level.size_px != size and not level.as_recorded:
            padded.append(f"{number} ({level.downsample:g}, not {recorded:.4g})")
        usable.append(level)
    notes = (
        f"padded levels, whose downsample is not that of their size: {', '.join(padded)}" if padded else "",
        f"levels left out, which are no scaled copies of level 0: {', '.join(others)}" if others else "",
    )
    return Levels(tuple(usable), "; ".join(note for note in notes if note) or None)


def _is_power_of_two(size_px0: tuple[int, ...], size_px: tuple[int, ...]) -> bool:
    """Return whether both sides are those of level 0 over the same power of two, roundings aside."""
    factor = 2.0 ** round(math.log2(size_px0[0] / size_px[0]))
    return all(abs(px0 / factor - px) <= ROUNDING_PX for px0, px in zip(size_px0, size_px, strict=True))


def _by_content(handle: Any, number: int, above: Level) -> Level | None:
    """Return a level under the explanation of its size that its pixels bear out; None if there is no such."""
    best, best_score = None, ALIKE
    for level in _explanations(handle, number, above.downsample):
        score = _likeness(handle, level, above)
        if score > best_score:
            best, best_score = level, score
    return best


def _explanations(handle: Any, number: int, above: float) -> Iterator[Level]:
    """Yield what a level may be: as OpenSlide places it, stretched to its size, or padded to whole tiles."""
    (w0, h0), (w, h) = handle.level_dimensions[0], handle.level_dimensions[number]
    recorded, ratios = float(handle.level_downsamples[number]), (w0 / w, h0 / h)
    placed = [px0 / recorded for px0 in (w0, h0)]
    part = min(w, math.ceil(placed[0])), min(h, math.ceil(placed[1]))
    yield Level(number=number, recorded=recorded, scale_xy=(recorded, recorded), size_px=part)
    close = max(abs(placed[0] - w), abs(placed[1] - h)) <= ROUNDING_PX
    if not close and max(ratios) / min(ratios) <= MOST_STRETCH:
        yield Level(number=number, recorded=recorded, scale_xy=ratios, size_px=(w, h))
    tile = [
        int(handle.properties.get(f"openslide.level[{number}].tile-{side}", USUAL_TILE_PX))
        for side in ("width", "height")
    ]
    first = math.floor(math.log2(max(ratios)))
    for factor in sorted({max(ratios), *(2.0**power for power in range(first, first + 4))}):
        size = math.ceil(w0 / factor), math.ceil(h0 / factor)
        pad = w - size[0], h - size[1]
        fits = all(-ROUNDING_PX <= by < side for by, side in zip(pad, tile, strict=True))
        if fits and max(pad) > 0 and factor > above and min(size) > 1:
            part = min(size[0], w), min(size[1], h)
            yield Level(number=number, recorded=recorded, scale_xy=(factor, factor), size_px=part)


def _likeness(handle: Any, level: Level, above: Level) -> float:
    """Return the correlation of a level with the sharper one, -1 to 1; 0 where there is nothing to compare."""
    ratio = level.downsample / above.downsample
    side = int(min(WINDOW_PX, max(32, math.isqrt(MOST_REFERENCE_PX // 4) / ratio)))
    w, h = (min(side, length) for length in level.size_px)
    most = max(2, math.isqrt(int(MOST_REFERENCE_PX / (side * ratio) ** 2)))
    seen, wanted = [], []
    (across, down), size_px0 = level.scale_xy, (w * level.scale_xy[0], h * level.scale_xy[1])
    for y in _starts(level.size_px[1], h, min(WINDOWS, most)):
        for x in _starts(level.size_px[0], w, min(WINDOWS, most)):
            at_px0 = x * across, y * down
            seen.append(_grey(handle, level, at_px0, size_px0, (w, h)))
            wanted.append(_grey(handle, above, at_px0, size_px0, (w, h)))
    found, reference = np.concatenate(seen, axis=None), np.concatenate(wanted, axis=None)
    if min(found.std(), reference.std()) < LEAST_CONTRAST:
        return 0.0
    return float(np.corrcoef(found, reference)[0, 1])


def _starts(length: int, window: int, most: int) -> list[int]:
    """Return where windows begin along a side, from its start to its end."""
    count = min(most, -(-length // window))
    return np.linspace(0, length - window, count).astype(int).tolist()


def _grey(
    handle: Any, level: Level, at_px0: tuple[float, float], size_px0: tuple[float, float], to_px: tuple[int, int]
) -> np.ndarray:
    """Read a box of level 0 at a level, as grey values ``[H, W]`` of (w, h) ``to_px``, smoothed."""
    size_px = tuple(max(1, round(length / scale)) for length, scale in zip(size_px0, level.scale_xy, strict=True))
    image = Image.fromarray(read_on_white(handle, *level.position(*at_px0), level.number, size_px)).convert("L")
    return np.asarray(image.resize(to_px, Image.Resampling.BOX).filter(ImageFilter.BoxBlur(1)), np.float64)
