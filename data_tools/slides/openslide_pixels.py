"""Read pixels with OpenSlide: RGB on white, with fewer copies than its Python package makes.

openslide-python allocates memory for every region, swaps its bytes and makes an image of it. With patches of 256 px in
two threads that took a fifth longer than this module, in which each thread reads into memory that it keeps.
"""

from __future__ import annotations

import ctypes
import sys
import threading
from typing import Any

import numpy as np
from PIL import Image

from pathplugins.core.optional import need

KEPT_PX = 1024 * 1024  #: the largest region whose memory is kept, pixels; larger ones are read by openslide-python
_kept = threading.local()


def read_on_white(handle: Any, x_px0: int, y_px0: int, level: int, size_px: tuple[int, int]) -> np.ndarray:
    """Read a box of a level of an open slide or image: the pixels of ``handle.read_region``, on white.

    Args:
        handle: An open ``OpenSlide`` or ``ImageSlide``.
        x_px0: Left edge of the box, level-0 pixels.
        y_px0: Its top edge.
        level: The level to read.
        size_px: (w, h) of the box, pixels of that level.

    Returns:
        uint8 ``[H, W, 3]``, the caller's own.
    """
    if size_px[0] * size_px[1] <= KEPT_PX and _reads_into_memory(handle):
        bgra = _read(handle, x_px0, y_px0, level, size_px)  # [H, W, 4]
        if bgra[..., 3].min() == 255:
            return _first_three(bgra[..., 2::-1])
    region = handle.read_region((x_px0, y_px0), level, size_px)
    rgba = np.asarray(region)  # [H, W, 4]
    if rgba[..., 3].min() < 255:  # areas the scanner left out are background, and background is white
        rgba = np.asarray(Image.alpha_composite(Image.new("RGBA", region.size, "white"), region))
    return _first_three(rgba)


def _reads_into_memory(handle: Any) -> bool:
    """Return whether the private names of openslide-python exist, as since 1.0; images have none of them."""
    return hasattr(handle, "_osr") and hasattr(need("openslide.lowlevel"), "_read_region") and sys.byteorder == "little"


def _read(handle: Any, x_px0: int, y_px0: int, level: int, size_px: tuple[int, int]) -> np.ndarray:
    """Read uint8 ``[H, W, 4]``, blue first, premultiplied; this thread's next read overwrites it."""
    w, h = size_px
    memory = getattr(_kept, "memory", None)
    if memory is None or len(memory) < w * h:
        memory = _kept.memory = (ctypes.c_uint32 * (w * h))()
    need("openslide.lowlevel")._read_region(handle._osr, memory, x_px0, y_px0, level, w, h)
    return np.frombuffer(memory, np.uint8, count=4 * w * h).reshape(h, w, 4)


def _first_three(pixels: np.ndarray) -> np.ndarray:
    """Copy the first three channels to ``[H, W, 3]``, one by one: a third of the time that a slice takes."""
    out = np.empty((*pixels.shape[:2], 3), np.uint8)
    for channel in range(3):
        out[..., channel] = pixels[..., channel]
    return out
