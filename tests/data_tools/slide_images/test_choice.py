"""Chosen patches: even over a grid, and one of each kind."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from pathplugins.data_tools.slide_images.choice import different_patches, even_patches  # noqa: E402


def test_even_patches_are_one_of_each_square() -> None:
    xy = np.stack(np.meshgrid(np.arange(8), np.arange(8)), -1).reshape(-1, 2)[::-1] * 512 + 3000
    rows = even_patches(xy, 16)
    squares = (xy[rows] - 3000) // 1024
    assert len({tuple(square) for square in squares.tolist()}) == 16
    assert rows.tolist() == sorted(rows.tolist())
    assert even_patches(xy[:3], 16).tolist() == [0, 1, 2]


def test_different_patches_are_one_of_each_kind_whatever_the_threads() -> None:
    kinds = np.repeat([0, 1, 2, 3], [60, 4, 40, 2])
    features = (np.eye(4)[kinds] * 30 + np.random.default_rng(0).normal(size=(106, 4))).astype(np.float32)
    rows = different_patches(features, 4, seed=1)
    assert kinds[rows].tolist() == [0, 1, 2, 3]
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert different_patches(features, 4, seed=1).tolist() == rows.tolist()
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
