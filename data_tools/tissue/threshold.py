"""Thresholds: tell stained pixels from glass, pale ones beside strong ones too.

Stain has colour and glass is grey, so the saturation is thresholded (Otsu). Where a part of the tissue is strongly
stained, that threshold parts strong from pale tissue; what lies below it is tissue where it is not smooth, unlike haze.
"""

from __future__ import annotations

import numpy as np

from .morphology import drop_small, find_runs
from .texture import Blocks, around

PALE_TEXTURE = 0.008  #: pale tissue has more (`block_texture`); haze and tinted glass have less
GREY_TEXTURE = 0.012  #: grey tissue has more; shadows and edges of the cover glass have less
MIN_COVER = 0.33  #: share of such pixels in a block and its neighbours; fewer are the border of something else
FEW_COVER = 0.15  #: the same for cells and fibres with glass between them
MIN_PALE_UM2 = 128.0**2  #: smaller areas of pale colour are specks
GREY_DEPTH = 10  #: grey tissue is darker than glass by more than this, of 255
MIN_COLOUR = 0.1  #: a piece of tissue has colour in at least this share of its area
MIN_GREY = 0.01  #: a slide without colour has at least this share of grey tissue; less is dirt


def otsu(values: np.ndarray) -> int:
    """Return the uint8 threshold (``> t`` is foreground) that separates two classes of ``values`` best."""
    counts = np.bincount(values.ravel(), minlength=256).astype(np.float64)  # [256]
    below = counts.cumsum()
    above = below[-1] - below
    sums = (counts * np.arange(256)).cumsum()
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = sums / below - (sums[-1] - sums) / above
        between = below * above * distance**2
    between = np.nan_to_num(between, nan=0.0, posinf=0.0)
    best = np.flatnonzero(between == between.max())
    return int(best[len(best) // 2])  # the middle of a flat maximum: an empty valley has no better side


def coloured_pixels(
    saturation: np.ndarray,
    usable: np.ndarray,
    blocks: Blocks,
    mpp: float,
    bounds: tuple[int, int],
    cover: float = MIN_COVER,
) -> np.ndarray:
    """Return what is stained, pale or not, bool ``[H, W]``.

    Args:
        saturation: uint8 ``[H, W]``.
        usable: Neither ink nor black, bool ``[H, W]``.
        blocks: The brightness in blocks.
        mpp: Microns per pixel.
        bounds: Lowest and highest threshold of the saturation; the lowest parts pale tissue from glass.
        cover: Share of pale tissue around its pixels.
    """
    lowest, highest = bounds
    threshold = min(max(otsu(saturation[usable]), lowest), highest)
    found = (saturation > threshold) & usable
    if threshold == lowest:
        return found
    pale = (saturation > lowest) & (saturation <= threshold) & usable
    rough = _rough(blocks, blocks.thinned(pale), PALE_TEXTURE, cover)
    if rough.any():
        found |= drop_small(pale & blocks.spread(rough), MIN_PALE_UM2 / mpp**2)
    return found


def grey_blocks(grey: np.ndarray, usable: np.ndarray, blocks: Blocks, cover: float) -> tuple[np.ndarray, int]:
    """Return the blocks with pixels darker than glass that are not smooth, bool ``[h, w]``, and the darkest glass.

    Args:
        grey: Brightness, uint8 ``[H, W]``.
        usable: Neither ink nor black, bool ``[H, W]``.
        blocks: The same brightness in blocks.
        cover: Share of such pixels around each.
    """
    thinned, light = blocks.thinned(usable), blocks.thinned(grey)
    counts = np.bincount(light[thinned], minlength=256)
    glass = int(np.searchsorted(counts.cumsum(), 0.98 * counts.sum())) - GREY_DEPTH  # holes and lumens are glass, too
    return _rough(blocks, thinned & (light < glass), GREY_TEXTURE, cover), glass


def _rough(blocks: Blocks, kind: np.ndarray, texture: float, cover: float) -> np.ndarray:
    """Return the blocks that thinned pixels of a kind cover in good part, and that have this texture."""
    covered = around(blocks.cover(kind)) >= cover * 9
    return covered & (blocks.texture(kind) >= texture) if covered.any() else covered


def beside_colour(found: np.ndarray, coloured: np.ndarray) -> np.ndarray:
    """Return the pieces of ``found`` that are coloured in part, or touch what is; blocks ``[h, w]``.

    Args:
        found: bool.
        coloured: Share of every block that has colour.
    """
    runs = find_runs(found | (coloured > 0.5))
    width = found.shape[1]
    before = np.concatenate([[0], coloured.ravel().cumsum(dtype=np.float64)])
    own = before[runs.rows * width + runs.ends] - before[runs.rows * width + runs.starts]
    areas = np.bincount(runs.pieces, weights=runs.ends - runs.starts, minlength=len(runs.rows))
    colour = np.bincount(runs.pieces, weights=own, minlength=len(runs.rows))
    kept = np.zeros_like(found)
    keep = (colour >= MIN_COLOUR * areas)[runs.pieces]
    for row, start, end in zip(runs.rows[keep].tolist(), runs.starts[keep], runs.ends[keep], strict=True):
        kept[row, start:end] = found[row, start:end]
    return kept
