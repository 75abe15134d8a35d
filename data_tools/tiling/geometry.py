"""Patch geometry: where patches lie on a slide, and how much of each is tissue, as pure functions of sizes.

Sizes are (w, h), positions (x, y); ``_px0`` is level-0 pixels, ``_px`` pixels of the patch as the encoder sees it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.units import Mpp

from .spec import TilingSpec


@dataclass(frozen=True, kw_only=True)
class Tiling:
    """The sizes of a ``TilingSpec`` on one slide."""

    patch_size_px0: int
    stride_px0: int
    mpp: Mpp
    """Exact resolution of the patches: they are whole pixels at level 0, so it may differ slightly from the spec's."""


def fit_tiling(spec: TilingSpec, *, level0_mpp: float, downsamples: tuple[float, ...], slide: str) -> Tiling:
    """Return the level-0 sizes of the patches of one slide.

    Raises:
        PathPluginsError: the patches would be sharper than the slide.
    """
    ratio = spec.mpp / level0_mpp  # level-0 pixels per patch pixel
    near = min(downsamples, key=lambda d: abs(ratio / d - 1))
    if abs(ratio / near - 1) <= spec.snap and round(spec.patch_size * ratio / near) != spec.patch_size:
        ratio = near
    if round(spec.patch_size * ratio) < spec.patch_size:
        raise PathPluginsError(
            f"{slide}: asked for {spec.mpp:g} um/px but it is {level0_mpp:g} um/px at its sharpest; "
            f"up-sampling is not supported: pass --mpp {level0_mpp:g} or more, or leave this slide out"
        )
    patch_px0 = round(spec.patch_size * ratio)
    stride_px0 = max(1, round((spec.patch_size - spec.overlap) * ratio))
    return Tiling(patch_size_px0=patch_px0, stride_px0=stride_px0, mpp=Mpp(patch_px0 * level0_mpp / spec.patch_size))


def patch_grid(size_px0: tuple[int, int], tiling: Tiling) -> np.ndarray:
    """Return the top-left corners of all patches wholly inside the slide, top to bottom, then left to right.

    A strip narrower than a stride may be left over at the right and bottom: a patch there would be padded.

    Returns:
        int64 ``[N, 2]``, columns (x, y), level-0 pixels.
    """
    w, h = size_px0
    xs = np.arange(0, w - tiling.patch_size_px0 + 1, tiling.stride_px0, dtype=np.int64)
    ys = np.arange(0, h - tiling.patch_size_px0 + 1, tiling.stride_px0, dtype=np.int64)
    grid_y, grid_x = np.meshgrid(ys, xs, indexing="ij")  # [rows, columns] each
    return np.stack([grid_x.ravel(), grid_y.ravel()], axis=1)  # [N, 2]


def tissue_fraction(
    mask: np.ndarray, size_px0: tuple[int, int], coords_xy: np.ndarray, patch_size_px0: int
) -> np.ndarray:
    """Return the exact fraction of every patch that is tissue; mask pixels cut by a patch border count in part.

    Args:
        mask: Bool ``[H, W]`` over the whole slide, coarser than it.
        size_px0: Size of the slide.
        coords_xy: ``[N, 2]`` top-left corners.
        patch_size_px0: Side of the patches.

    Returns:
        float64 ``[N]`` in [0, 1].
    """
    h, w = mask.shape
    integral = np.pad(mask.cumsum(0, dtype=np.int32).cumsum(1, dtype=np.int32), ((1, 0), (1, 0)))  # [H + 1, W + 1]
    scale = np.array([w / size_px0[0], h / size_px0[1]])  # mask pixels per level-0 pixel, (x, y)
    low, high = coords_xy * scale, (coords_xy + patch_size_px0) * scale  # [N, 2] each
    inside = (
        _at(integral, high[:, 0], high[:, 1])
        - _at(integral, low[:, 0], high[:, 1])
        - _at(integral, high[:, 0], low[:, 1])
        + _at(integral, low[:, 0], low[:, 1])
    )
    fraction = inside / np.prod(patch_size_px0 * scale)
    return np.clip(fraction.round(9), 0.0, 1.0)  # rounded: full is 1, or --min-tissue 1 would drop it


def _at(integral: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Interpolate the integral image between its grid points: linearly, which is exact for a mask of squares."""
    x, y = np.clip(x, 0, integral.shape[1] - 1), np.clip(y, 0, integral.shape[0] - 1)
    left = np.minimum(x.astype(np.int64), integral.shape[1] - 2)
    top = np.minimum(y.astype(np.int64), integral.shape[0] - 2)
    fx, fy = x - left, y - top  # [N] each, in [0, 1]
    upper = integral[top, left] * (1 - fx) + integral[top, left + 1] * fx
    lower = integral[top + 1, left] * (1 - fx) + integral[top + 1, left + 1] * fx
    return upper * (1 - fy) + lower * fy
