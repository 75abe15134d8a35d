"""Rows of labelled bags: kept in memory while there is room, read again where there is none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pathplugins.data.bags import inspect_bag, read_bag, sample_rows

KEPT_BYTES = 2 << 30


class Moments(NamedTuple):
    """Means over the patches of each bag, float64 ``[S, D]``."""

    first: np.ndarray
    """Of the features."""
    second: np.ndarray
    """Of their squares."""

    def spread(self, slides: np.ndarray) -> tuple[Tensor, Tensor]:
        """Return mean and standard deviation of the features of some slides, float32 ``[D]``, each slide as much.

        A feature that is the same everywhere has the deviation 1.
        """
        mean = self.first[slides].mean(0)
        variance = self.second[slides].mean(0) - mean**2
        scale = np.where(variance > 1e-12 * np.maximum(mean**2, 1e-300), np.sqrt(np.maximum(variance, 0)), 1.0)
        return torch.from_numpy(mean).float(), torch.from_numpy(scale).float()


class BagRows:
    """The features of some bags, in their order.

    Args:
        paths: S bags; they were checked before.
        most: Rows of a bag to train on in one step; more are drawn anew each time.
        kept_bytes: Memory for features.
    """

    def __init__(self, paths: Sequence[Path], *, most: int, kept_bytes: int = KEPT_BYTES) -> None:
        self.paths, self.most = paths, most
        self._kept: dict[int, np.ndarray] = {}
        self._room = kept_bytes

    def all(self, slide: int) -> Tensor:
        """Return every row of a bag, float32 ``[N, D]``."""
        return _tensor(self._whole(slide))

    def drawn(self, slide: int, seed: int) -> Tensor:
        """Return at most ``most`` rows of a bag, float32 ``[n, D]``, drawn by the seed."""
        if slide in self._kept:
            whole = self._kept[slide]
            return _tensor(whole if len(whole) <= self.most else whole[sample_rows(len(whole), self.most, seed)])
        path = self.paths[slide]
        rows = inspect_bag(path, positions=False).rows
        if rows <= self.most:
            return self.all(slide)
        return _tensor(read_bag(path, sample_rows(rows, self.most, seed), frame_mpp=None, positions=False).features)

    def moments(self) -> Moments:
        """Read every bag once."""
        first, second = [], []
        for slide in range(len(self.paths)):
            features = self._whole(slide).astype(np.float64)
            first.append(features.mean(0))
            second.append(np.square(features).mean(0))
        return Moments(np.stack(first), np.stack(second))

    def _whole(self, slide: int) -> np.ndarray:
        if slide in self._kept:
            return self._kept[slide]
        features = read_bag(self.paths[slide], frame_mpp=None, positions=False).features
        if features.nbytes <= self._room:
            self._room -= features.nbytes
            self._kept[slide] = features
        return features


def _tensor(features: np.ndarray) -> Tensor:
    return torch.from_numpy(features).float()
