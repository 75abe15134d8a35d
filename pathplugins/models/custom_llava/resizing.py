"""Resizing of RGB images by PyTorch: Pillow's bicubic pixels in less time, or nearly Pillow's in a sixth of it.

Legend: w x h the image, W x H a size asked for, n rows of the image at a time. Sizes are (w, h) in pixels.

Pillow resizes the rows, rounds to whole numbers, and resizes the columns. A value is a sum of pixels times weights,
whole multiples of 2^-22, rounded half up. `exact_bicubic` adds up in float32 without an error: the weights are cut into
multiples of 2^-11 and what is left of them, so that either part of a sum is a whole number below 2^24 in its own unit,
which float32 holds in whatever order it is added up.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from pathplugins.data.anyres import Resizer, Size, pillow_bicubic

_BITS = 22  # of Pillow's weights, behind the point
_HALF = 11
_BLOCK = 64  # rows of the image at a time: what is made of them stays near the processor
_TAPS = 64  # pixels in a sum, at most: with 255 * 2^10 of each it stays below 2^24, and within two blocks
_LINE = 64  # bytes the processor fetches at a time

# Pillow hands out read-only memory; a writable copy of a large image costs as much as resizing it, and nobody writes
warnings.filterwarnings("ignore", "The given NumPy array is not writable", UserWarning, module=__name__)


class _Side(NamedTuple):
    """How a side is resized: the pixels each new one is made of, and their weights times 2^22."""

    pixels: np.ndarray  # int64 [new, taps]
    weights: np.ndarray  # int64 [new, taps]


class _Sums(NamedTuple):
    """Weighted sums of rows of a table, as `embedding_bag` takes them: in turn a coarse and a fine part."""

    rows: Tensor  # int32
    weights: Tensor  # float32
    starts: Tensor  # int32, of each part in ``rows``


def torch_bicubic(image: Image.Image, sizes: Sequence[Size]) -> list[np.ndarray]:
    """Resize as PyTorch does, with weights of 16 bits: fast with AVX2, at most 2 of 255 beside Pillow's."""
    return _by_torch(image, sizes, "bicubic")


def torch_bilinear(image: Image.Image, sizes: Sequence[Size]) -> list[np.ndarray]:
    """Likewise, bilinear."""
    return _by_torch(image, sizes, "bilinear")


def pillow_bilinear(image: Image.Image, sizes: Sequence[Size]) -> list[np.ndarray]:
    """Resize as ``pathdata features`` does for encoders trained on bilinear pictures."""
    return [np.asarray(image.resize(size, Image.Resampling.BILINEAR)).transpose(2, 0, 1) for size in sizes]


def _by_torch(image: Image.Image, sizes: Sequence[Size], mode: str) -> list[np.ndarray]:
    pixels = torch.from_numpy(np.asarray(image))[None].permute(0, 3, 1, 2)  # [1, 3, h, w], colours innermost in memory
    resized = [F.interpolate(pixels, size=(h, w), mode=mode, antialias=True) for w, h in sizes]
    return [each[0].numpy() for each in resized]


@torch.inference_mode()
def exact_bicubic(image: Image.Image, sizes: Sequence[Size]) -> list[np.ndarray]:
    """Return the pixels of `pillow_bicubic`, float32, which does the work where this way would be slow."""
    w, h = image.size
    sides = [_side(*pair) for size in sizes for pair in zip((w, h), size, strict=True)]
    vectorised = torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")
    if not vectorised or max(side.pixels.shape[1] for side in sides) > _TAPS:
        return pillow_bicubic(image, sizes)
    pixels = np.asarray(image)
    widths = tuple(width for width, _ in sizes)
    across, down = _across(w, widths), [_down(h, height) for _, height in sizes]
    windows = [torch.from_numpy(np.zeros((6 * _BLOCK + 1, width), np.float32)) for width in widths]
    for window in windows:
        window[-1] = 1
    resized = [torch.from_numpy(np.empty((height, 3, width), np.float32)) for width, height in sizes]
    table = _Table(w, _BLOCK)
    for block, top in enumerate(range(0, h, _BLOCK)):
        n = min(_BLOCK, h - top)
        if n < _BLOCK:
            table = _Table(w, n)
        values = _weighted(table.filled(pixels[top : top + n]), across)  # [all W, 3 * n]
        first, slot = 0, block % 2 * 3 * _BLOCK
        for window, new, steps in zip(windows, resized, down, strict=True):
            end = first + window.shape[1]
            window[slot : slot + 3 * n].copy_(values[first:end].t())
            first = end
            if steps[block]:
                rows, sums = steps[block]
                _weighted(window, sums, out=new[rows])
    return [new.permute(1, 0, 2).numpy() for new in resized]


class _Table:
    """Memory to turn n rows of pixels: float32 ``[w + 1, 3 * n]``, each colour by itself, and ones."""

    def __init__(self, w: int, n: int) -> None:
        # an odd number of cache lines per row: at a power of two all rows of a column compete for the same few of them
        line = (3 * w // _LINE | 1) * _LINE + 2 * _LINE
        self._rows = np.empty((n, line), np.uint8)[:, : 3 * w].reshape(n, w, 3)
        self._turned = np.empty((w, 3, n), np.uint8)
        self._table = torch.from_numpy(np.empty((w + 1, 3 * n), np.float32))
        self._table[-1] = 1
        self._from, self._to = torch.from_numpy(self._turned).view(w, 3 * n), self._table[:-1]

    def filled(self, pixels: np.ndarray) -> Tensor:
        """Return the same memory every time, for uint8 ``[n, w, 3]``."""
        self._rows[...] = pixels
        self._turned[...] = self._rows.transpose(1, 2, 0)
        self._to.copy_(self._from)
        return self._table


def _weighted(table: Tensor, sums: _Sums, *, out: Tensor | None = None) -> Tensor:
    """Return sums of rows of the table, rounded half up and cut to 0 to 255."""
    # the function under `F.embedding_bag`, whose checks would take as long as small sums
    parts = torch.embedding_bag(table, sums.rows, sums.starts, False, 0, False, sums.weights)[0]
    coarse, fine = parts.view(-1, 2, table.shape[1]).unbind(1)  # in 1 and in 2^-11
    values = coarse.add_(fine.floor_(), alpha=2.0**-_HALF).floor_()
    return torch.clamp(values if out is None else values.view(out.shape), 0, 255, out=out)


@functools.lru_cache(maxsize=256)
def _across(w: int, widths: tuple[int, ...]) -> _Sums:
    """Return all rows made of a `_Table`."""
    return _sums([_side(w, width) for width in widths], ones=w)


@functools.lru_cache(maxsize=256)
def _down(h: int, height: int) -> list[tuple[slice, _Sums] | None]:
    """Return, for each block of image rows, the new rows it completes and how to make them, all colours.

    The table holds two blocks of image rows, the even-numbered one first, each colour after colour; its last row is
    ones.
    """
    pixels, weights = _side(h, height)
    block, row = np.divmod(pixels, _BLOCK)
    rows = block % 2 * 3 * _BLOCK + row
    by_colour = rows[:, None] + np.arange(3)[:, None] * np.minimum(h - block * _BLOCK, _BLOCK)[:, None]  # [H, 3, taps]
    taps = pixels.shape[1]
    sums = _sums([_Side(by_colour.reshape(-1, taps), weights.repeat(3, axis=0))], ones=6 * _BLOCK)
    ends = np.searchsorted(block[:, -1], np.arange(-(-h // _BLOCK)), side="right").tolist()
    length, steps = 3 * (2 * taps + 1), []
    for first, end in zip([0, *ends], ends, strict=False):
        of_step = slice(first * length, end * length)
        made = slice(first, end), _Sums(*(of[of_step] for of in sums[:2]), sums.starts[: 6 * (end - first)])
        steps.append(made if first < end else None)
    return steps


def _sums(sides: Sequence[_Side], *, ones: int) -> _Sums:
    """Return sums for all new pixels; the row of ``ones`` adds the half of rounding half up."""
    rows, weights, lengths = [], [], []
    for side in sides:
        count, taps = side.pixels.shape
        coarse = side.weights + (1 << _HALF - 1) >> _HALF
        row = np.empty((count, 2 * taps + 1), np.int32)
        row[:, :taps], row[:, taps], row[:, taps + 1 :] = side.pixels, ones, side.pixels
        weight = np.empty((count, 2 * taps + 1), np.float32)
        weight[:, :taps], weight[:, taps] = coarse, 1 << _HALF - 1
        weight[:, taps + 1 :] = side.weights - (coarse << _HALF)
        rows.append(row.ravel())
        weights.append(weight.ravel() * np.float32(2.0**-_HALF))
        lengths.append(np.tile(np.array([taps + 1, taps], np.int32), count))
    length = np.concatenate(lengths)
    starts = length.cumsum(dtype=np.int32) - length
    return _Sums(*(torch.from_numpy(each) for each in (np.concatenate(rows), np.concatenate(weights), starts)))


@functools.lru_cache(maxsize=256)
def _side(old: int, new: int) -> _Side:
    """Return Pillow's weights."""
    scale = old / new
    wide = max(scale, 1.0)
    centres = (np.arange(new)[:, None] + 0.5) * scale
    first = np.maximum((centres - 2 * wide + 0.5).astype(np.int64), 0)
    end = np.minimum((centres + 2 * wide + 0.5).astype(np.int64), old)
    pixels = first + np.arange((end - first).max())
    x = np.abs((pixels - centres + 0.5) * (1 / wide))
    near, far = (1.5 * x - 2.5) * x * x + 1, (((x - 5) * x + 8) * x - 4) * -0.5
    weights = np.where(x < 1, near, np.where(x < 2, far, 0)) * (pixels < end)
    weights /= weights.cumsum(1)[:, -1:]  # added one by one, as Pillow does
    whole = np.trunc(weights * (1 << _BITS) + np.copysign(0.5, weights)).astype(np.int64)
    return _Side(np.minimum(pixels, end - 1), whole)


RESIZERS: dict[tuple[str, bool], Resizer] = {
    ("bicubic", False): exact_bicubic,
    ("bicubic", True): torch_bicubic,
    ("bilinear", False): pillow_bilinear,
    ("bilinear", True): torch_bilinear,
}
"""(interpolation, whether fast) -> what resizes."""
