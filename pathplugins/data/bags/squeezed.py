"""Datasets with a leading axis of one, as PANTHER's and TITAN's loaders want them, seen as the rows that they are."""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np


def squeezed(dataset: h5py.Dataset) -> h5py.Dataset:
    """Return a dataset ``[1, N, D]`` as one of ``[N, D]``; any other as it is. Nothing is read."""
    if dataset.shape is not None and len(dataset.shape) == 3 and dataset.shape[0] == 1:
        return _Squeezed(dataset)  # type: ignore[return-value]
    return dataset


class _Squeezed:
    """A dataset ``[1, N, D]`` that answers as one of ``[N, D]``."""

    def __init__(self, dataset: h5py.Dataset) -> None:
        self._dataset = dataset
        self.shape = dataset.shape[1:]
        self.ndim = 2
        self.chunks = dataset.chunks and dataset.chunks[1:]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._dataset, name)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> np.ndarray:
        return self._dataset[(0, *rows) if isinstance(rows, tuple) else (0, rows)]
