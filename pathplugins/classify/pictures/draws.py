"""Random draws of one picture: where it is cut and how its colours change, from (seed, epoch, sample, view) alone.

So they repeat for any number of workers and ranks, in any order of reading.
"""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import numpy as np

from pathplugins.classify.pictures.augment import Augment

Box = tuple[int, int, int, int]
"""(x, y, w, h) in pixels of the picture."""

ORDERS = tuple(itertools.permutations(("brightness", "contrast", "saturation", "hue")))
"""Every order in which the colour changes may follow one another."""
_CROP_TRIES = 10


class Draw(NamedTuple):
    """What the batch step does to one picture; the default is nothing. A row of a float32 ``[B, 9]``."""

    flip_x: float = 0.0
    """1: left and right change places."""
    flip_y: float = 0.0
    brightness: float = 1.0
    """A factor; 1 changes nothing."""
    contrast: float = 1.0
    saturation: float = 1.0
    hue: float = 0.0
    """A share of the circle of hues."""
    order: float = 0.0
    """Index into ``ORDERS``."""
    grey: float = 0.0
    """1: colours go."""
    sigma: float = 0.0
    """Of the blur, in pixels; 0 is none."""


def generator(seed: int, epoch: int, sample: int, view: int) -> np.random.Generator:
    """Return the source of the draws of one view of one sample."""
    return np.random.Generator(np.random.PCG64([seed, epoch, sample, view]))


def draw(augment: Augment, source: np.random.Generator) -> Draw:
    """Draw what happens to one picture after it is cut."""
    chance, change, order = source.random(5), source.uniform(-1, 1, 4), source.integers(len(ORDERS))
    sigma = source.uniform(*augment.blur_sigma)
    jitter = chance[2] < augment.jitter
    return Draw(
        flip_x=float(chance[0] < augment.flip_x),
        flip_y=float(chance[1] < augment.flip_y),
        brightness=1 + jitter * augment.brightness * change[0],
        contrast=1 + jitter * augment.contrast * change[1],
        saturation=1 + jitter * augment.saturation * change[2],
        hue=jitter * augment.hue * change[3],
        order=float(order),
        grey=float(chance[3] < augment.grey),
        sigma=sigma if chance[4] < augment.blur else 0.0,
    )


def draw_box(augment: Augment, size: tuple[int, int], source: np.random.Generator, px: int | None) -> Box:
    """Draw where a picture is cut.

    Args:
        augment: How it is cut.
        size: (w, h) of the picture.
        source: Of the draws.
        px: Side of a ``centre`` or ``window``; None is the largest centred square.
    """
    if augment.crop == "centre":
        return centre_box(size, (px or min(size),) * 2)
    if augment.crop == "window":
        return _placed(size, (px or min(size),) * 2, source)
    low, high = (math.log(ratio) for ratio in augment.crop_ratio)
    areas = source.uniform(*augment.crop_area, _CROP_TRIES) * size[0] * size[1]
    ratios = np.exp(source.uniform(low, high, _CROP_TRIES))
    for w, h in np.rint(np.sqrt([areas * ratios, areas / ratios])).astype(int).T.tolist():
        if 0 < w <= size[0] and 0 < h <= size[1]:
            return _placed(size, (w, h), source)
    return centre_box(size, _within(size, augment.crop_ratio))


def centre_box(size: tuple[int, int], wanted: tuple[int, int]) -> Box:
    """Return the box of size ``wanted`` (w, h) in the middle of a picture of ``size``."""
    (w, h), (cut_w, cut_h) = size, wanted
    return round((w - cut_w) / 2), round((h - cut_h) / 2), cut_w, cut_h


def _placed(size: tuple[int, int], wanted: tuple[int, int], source: np.random.Generator) -> Box:
    x, y = source.integers((size[0] - wanted[0] + 1, size[1] - wanted[1] + 1)).tolist()
    return x, y, *wanted


def _within(size: tuple[int, int], ratios: tuple[float, float]) -> tuple[int, int]:
    """Return the size of the largest part with a ratio within ``ratios``: for a picture none of the draws fits."""
    w, h = size
    return min(w, round(h * ratios[1])), min(h, round(w / ratios[0]))
