"""Choice of patches: some of a slide's, even over its tissue or as different as its features are."""

from __future__ import annotations

from typing import Literal

import numpy as np

from pathplugins.core.optional import need
from pathplugins.data.even_rows import spatial_rows
from pathplugins.data.k_means import k_means_rows

Select = Literal["spatial", "kmeans"]


def even_patches(coords_xy: np.ndarray, count: int) -> np.ndarray:
    """Return ``min(N, count)`` rows even over the tissue, ascending: ``[N, 2]`` positions to int64."""
    return spatial_rows(need("torch").from_numpy(np.ascontiguousarray(coords_xy)), count).numpy()


def different_patches(features: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Return ``min(N, count)`` rows, of each cluster of ``[N, D]`` features the one nearest to its centre, ascending.

    One thread computes them: on one machine the result does not depend on how many slides are done side by side.
    """
    torch = need("torch")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return k_means_rows(torch.from_numpy(features), count, seed=seed).numpy()
    finally:
        torch.set_num_threads(threads)
