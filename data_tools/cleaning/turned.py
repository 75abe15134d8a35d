"""Perceptual hashes of images in their eight orientations, whole and cropped, and how alike two images are.

Let T be the image as ``SIDE`` x ``SIDE`` grey values, and C = D T D^T its cosine transform, where D[u, y] =
cos(pi u (2y + 1) / (2 SIDE)). The hash is the signs of C[u, v] for u, v < 8 without [0, 0], which is the brightness,
and of C[8, 8]: 64 bits. A mirror image has the same C but for the signs at odd v (left to right) or odd u (upside
down), a turned one its transpose, so that seven more hashes cost nothing. An image without margins is R T S^T, where R
and S take means of the rows and columns that are left; D R is made once.

Two images are as alike as the correlation of their C for u, v < 12, which is that of the images without fine detail.
"""

from __future__ import annotations

import numpy as np

SIDE = 32  #: pixels of the small images
LOW = 12  #: frequencies compared, each way
ORIENTATIONS = 8

CROPS = (
    ((0.0, 1.0), (0.0, 1.0)),
    ((0.025, 0.975), (0.025, 0.975)),
    ((0.0, 0.95), (0.0, 0.95)),
    ((0.0, 0.95), (0.05, 1.0)),
    ((0.05, 1.0), (0.0, 0.95)),
    ((0.05, 1.0), (0.05, 1.0)),
    ((0.05, 0.95), (0.05, 0.95)),
)
"""What is left of the height and of the width: all, the middle and the corners of 95 %, the middle of 90 %."""

_BITS = [(u, v) for u in range(8) for v in range(8) if u or v] + [(8, 8)]
_U, _V = (np.array(axis) for axis in zip(*_BITS, strict=True))
_SHIFTS = np.arange(64, dtype=np.uint64)


def waves(small: np.ndarray, crop: int = 0) -> np.ndarray:
    """Return C of small images, or of what a crop leaves of them.

    Args:
        small: [N, SIDE, SIDE] uint8.
        crop: A number of ``CROPS``.

    Returns:
        [N, LOW, LOW] float32.
    """
    rows, columns = (_transform(*kept) for kept in CROPS[crop])
    return (rows @ small.astype(np.float32) @ columns.T).astype(np.float32)


def turned(c: np.ndarray, orientation: int) -> np.ndarray:
    """Return C of the turned or mirrored images: bit 0 mirrors, bit 1 turns upside down, bit 2 transposes before."""
    odd = np.where(np.arange(c.shape[-1]) % 2, -1, 1).astype(c.dtype)
    if orientation & 4:
        c = np.swapaxes(c, -1, -2)
    if orientation & 1:
        c = c * odd
    if orientation & 2:
        c = c * odd[:, None]
    return c


def hashes(c: np.ndarray) -> np.ndarray:
    """Return the hashes of images by their C, uint64 [N]."""
    return ((c[:, _U, _V] > 0).astype(np.uint64) << _SHIFTS).sum(axis=1, dtype=np.uint64)


def likeness(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the correlation of pairs of images by their C, [N]."""
    flat = [c.reshape(len(c), -1)[:, 1:] for c in (one, other)]  # without the brightness
    lengths = [np.linalg.norm(c, axis=1) for c in flat]
    return (flat[0] * flat[1]).sum(axis=1) / np.maximum(lengths[0] * lengths[1], 1e-6)


def _transform(start: float, end: float) -> np.ndarray:
    """Return D R, [LOW, SIDE]: the transform of the means over ``SIDE`` equal parts of [start, end] of an axis.

    Rows of D have equal lengths but for the first, so that correlations of C are those of pixels.
    """
    edges = np.linspace(start, end, SIDE + 1) * SIDE
    pixels = np.arange(SIDE)
    covered = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)  # [part, pixel]
    means = covered.clip(0) / (edges[1] - edges[0])
    angles = np.pi * np.arange(LOW)[:, None] * (2 * np.arange(SIDE) + 1) / (2 * SIDE)
    cosines = np.cos(angles)
    cosines[0] /= np.sqrt(2)
    return (cosines @ means).astype(np.float32)
