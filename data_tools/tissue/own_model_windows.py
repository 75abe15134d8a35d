"""Detect tissue with a model of the user's own: windows over the slide, of which the middles are kept."""

from __future__ import annotations

from itertools import islice, product

import numpy as np
from PIL import Image

from ..slides.slide import Slide
from .detect import Detection, TissueSpec
from .morphology import drop_small
from .own_model import OwnModel
from .own_model_run import load_own_model

MARGIN = 1 / 8  #: of a window, on each side: a model sees too little there
BATCH = 4  #: windows in memory at a time


def detect_with_model(
    slide: Slide, level0_mpp: float, model: OwnModel, spec: TissueSpec, shape: tuple[int, int]
) -> Detection:
    """Return tissue and the shares of artefacts.

    Args:
        slide: The slide.
        level0_mpp: Its resolution, microns per pixel.
        model: The model.
        spec: Sizes of pieces and holes.
        shape: (H, W) of the mask over the whole slide.
    """
    run, card = load_own_model(model), model.card
    classes = np.zeros(shape, np.uint8)
    pixel_um = slide.size_px0[1] * level0_mpp / shape[0]  # of the mask
    core = max(1, int(card.size * (1 - 2 * MARGIN) * card.mpp / pixel_um))  # mask pixels of a window that are kept
    corners = iter(product(range(0, shape[0], core), range(0, shape[1], core)))
    while batch := list(islice(corners, BATCH)):
        windows = [_window(slide, level0_mpp, model, (left + core / 2, top + core / 2), shape) for top, left in batch]
        for (top, left), found in zip(batch, run(np.stack(windows)), strict=True):
            part = classes[top : top + core, left : left + core]
            part[:] = _reduced(found, core * pixel_um / card.mpp / card.size, core, len(card.classes))[
                : part.shape[0], : part.shape[1]
            ]
    shares = {name: float((classes == card.classes.index(name)).mean()) for name in card.artefacts}
    artefact = np.isin(classes, [card.classes.index(name) for name in card.artefacts])
    tissue = np.isin(classes, [card.classes.index(name) for name in card.tissue])
    tissue = ~drop_small(~tissue, spec.max_hole_um2 / pixel_um**2) & ~artefact
    return Detection(mask=drop_small(tissue, spec.min_area_um2 / pixel_um**2), artefacts=shares)


def _window(
    slide: Slide, level0_mpp: float, model: OwnModel, centre: tuple[float, float], shape: tuple[int, int]
) -> np.ndarray:
    """Read the window around a point (x, y) of the mask, white beyond the slide: uint8 ``[S, S, 3]``."""
    (w0, h0), size = slide.size_px0, model.card.size
    side = size * model.card.mpp / level0_mpp  # level-0 pixels
    lows = [centre[0] * w0 / shape[1] - side / 2, centre[1] * h0 / shape[0] - side / 2]
    canvas = np.full((size, size, 3), 255, np.uint8)
    spans = []  # (first and last level-0 pixel, first and last pixel of the window), x and y
    for low, length in zip(lows, (w0, h0), strict=True):
        first, last = max(0, round(low)), min(length, round(low + side))
        begin, end = round((first - low) / side * size), round((last - low) / side * size)
        spans.append((first, last, min(max(begin, 0), size), min(end, size)))
    (x, x_end, left, right), (y, y_end, top, bottom) = spans
    if x_end > x and y_end > y and right > left and bottom > top:
        canvas[top:bottom, left:right] = slide.read(x, y, (x_end - x, y_end - y), (right - left, bottom - top))
    return canvas


def _reduced(found: np.ndarray, share: float, core: int, classes: int) -> np.ndarray:
    """Return the most frequent class in each mask pixel of the middle of a window, uint8 ``[core, core]``.

    Args:
        found: Class numbers ``[h, w]``.
        share: How much of the window the middle is, along a side.
        core: Its mask pixels along a side.
        classes: Number of classes.
    """
    h, w = found.shape
    box = (w * (1 - share) / 2, h * (1 - share) / 2, w * (1 + share) / 2, h * (1 + share) / 2)
    covers = [
        np.asarray(
            Image.fromarray(np.where(found == number, 255, 0).astype(np.uint8)).resize(
                (core, core), Image.Resampling.BOX, box=box
            )
        )
        for number in range(classes)
    ]
    return np.stack(covers).argmax(axis=0).astype(np.uint8)
