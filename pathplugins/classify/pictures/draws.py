"""Random draws of one picture: where it is cut and how its colours change, from (seed, epoch, sample, view) alone.

So they repeat for any number of workers and ranks, in any order of reading.
"""

from __future__ import annotations

import itertools
import math
import random
from typing import NamedTuple

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


def generator(seed: int, epoch: int, sample: int, view: int) -> random.Random:
    """Return the source of the draws of one view of one sample."""
    return random.Random(f"{seed} {epoch} {sample} {view}")  # NumPy's take longer to make than all they would draw


def draw(augment: Augment, source: random.Random) -> Draw:
    """Draw what happens to one picture after it is cut."""
    jitter = source.random() < augment.jitter
    changes = (augment.brightness, augment.contrast, augment.saturation, augment.hue)
    brightness, contrast, saturation, hue = (jitter * most * source.uniform(-1, 1) for most in changes)
    return Draw(
        flip_x=float(source.random() < augment.flip_x),
        flip_y=float(source.random() < augment.flip_y),
        brightness=1 + brightness,
        contrast=1 + contrast,
        saturation=1 + saturation,
        hue=hue,
        order=float(source.randrange(len(ORDERS))),
        grey=float(source.random() < augment.grey),
        sigma=source.uniform(*augment.blur_sigma) if source.random() < augment.blur else 0.0,
    )


def draw_box(augment: Augment, size: tuple[int, int], source: random.Random, px: int | None) -> Box:
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
    for _ in range(_CROP_TRIES):
        area, ratio = source.uniform(*augment.crop_area) * size[0] * size[1], math.exp(source.uniform(low, high))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= size[0] and 0 < h <= size[1]:
            return _placed(size, (w, h), source)
    return centre_box(size, _within(size, augment.crop_ratio))


def centre_box(size: tuple[int, int], wanted: tuple[int, int]) -> Box:
    """Return the box of size ``wanted`` (w, h) in the middle of a picture of ``size``."""
    (w, h), (cut_w, cut_h) = size, wanted
    return round((w - cut_w) / 2), round((h - cut_h) / 2), cut_w, cut_h


def _placed(size: tuple[int, int], wanted: tuple[int, int], source: random.Random) -> Box:
    x, y = (source.randint(0, length - extent) for length, extent in zip(size, wanted, strict=True))
    return x, y, *wanted


def _within(size: tuple[int, int], ratios: tuple[float, float]) -> tuple[int, int]:
    """Return the size of the largest part with a ratio within ``ratios``: for a picture none of the draws fits."""
    w, h = size
    return min(w, round(h * ratios[1])), min(h, round(w / ratios[0]))
