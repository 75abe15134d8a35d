"""Texture: how much neighbouring pixels differ, in square blocks of a picture.

Sections are in focus, so their nuclei, fibres and gaps differ from pixel to pixel. Ink on the cover glass, haze in the
mounting medium and empty glass are smooth.
"""

from __future__ import annotations

import numpy as np

BLOCK_UM = 64.0  #: side of a block
STEP_UM = 8.0  #: distance of the pixels that are compared, and of those looked at: about a nucleus
MIN_PAIRS = 0.2  #: share of a block's pairs that must count; of fewer, it has no texture of its own
DARK = 32  #: added to the brightness, so that noise in the dark is no texture


class Blocks:
    """A picture in blocks of ``BLOCK_UM``; only every ``step``-th pixel of it is looked at."""

    def __init__(self, grey: np.ndarray, mpp: float) -> None:
        """Take the brightness, uint8 ``[H, W]``, at ``mpp`` microns per pixel."""
        self.step = max(1, round(STEP_UM / mpp))
        self.thinned_px = mpp * self.step
        """Microns from one of the pixels looked at to the next."""
        self._side = max(2, round(BLOCK_UM / self.thinned_px))
        self._full = grey.shape
        self._grey = grey[:: self.step, :: self.step]
        self._steps = [np.abs(np.diff(self._grey.astype(np.int16), axis=axis)).astype(np.uint8) for axis in (0, 1)]

    def thinned(self, mask: np.ndarray) -> np.ndarray:
        """Return the pixels of a mask ``[H, W]`` that are looked at."""
        return mask[:: self.step, :: self.step]

    def cover(self, thinned: np.ndarray) -> np.ndarray:
        """Return the share of every block that a thinned mask covers, float32 ``[h, w]``."""
        return self._sums(thinned) / self._side**2

    def texture(self, thinned: np.ndarray) -> np.ndarray:
        """Return the mean difference of neighbours in shares of the brightness, by block: float32 ``[h, w]``.

        Blocks that the mask hardly covers have the mean of their neighbours that it covers, or NaN without any.

        Args:
            thinned: Pixels that count; pairs with one of them outside do not, so that borders are no texture.
        """
        counts, apart = 0, 0
        for axis, steps in enumerate(self._steps):
            both = thinned[1:] & thinned[:-1] if axis == 0 else thinned[:, 1:] & thinned[:, :-1]
            counts = counts + self._sums(both)
            apart = apart + self._sums(steps * both)
        own = counts >= MIN_PAIRS * 2 * self._side**2
        light = self._sums(self._grey * thinned) / np.maximum(self._sums(thinned), 1)
        texture = np.where(own, apart / np.maximum(counts, 1) / (light + DARK), 0)
        weights = around(own.astype(np.float32))
        near = np.where(weights > 0, around(texture) / np.maximum(weights, 1), np.nan)
        return np.where(own, texture, near).astype(np.float32)

    def spread(self, blocks: np.ndarray) -> np.ndarray:
        """Return the value of its block for every pixel of the picture, ``[H, W]``."""
        (h, w), side = self._full, self._side * self.step
        return blocks.repeat(side, axis=1)[:, :w].repeat(side, axis=0)[:h]

    def _sums(self, values: np.ndarray) -> np.ndarray:
        """Return the sums of thinned pixels by block, float32 ``[h, w]``."""
        side = self._side
        h, w = (-(-length // side) for length in self._grey.shape)
        padded = np.zeros((h * side, w * side), values.dtype)
        padded[: values.shape[0], : values.shape[1]] = values
        rows = padded.reshape(h, side, w * side).sum(axis=1, dtype=np.int32)
        return rows.reshape(h, w, side).sum(axis=2).astype(np.float32)


def around(values: np.ndarray) -> np.ndarray:
    """Return the sum of each block and its eight neighbours."""
    padded = np.pad(values, 1)
    rows = padded[:-2] + padded[1:-1] + padded[2:]
    return rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]
