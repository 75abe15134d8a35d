"""Even rows against NumPy and against counting."""

from __future__ import annotations

import numpy as np
import pytest

from pathplugins.data.even_rows import linspace_rows, middles, spatial_rows

torch = pytest.importorskip("torch")


@pytest.mark.parametrize(
    ("count", "k"), [(10_241, 10_240), (38_401, 38_400), (99_999, 10_240), (123_457, 38_400), (7, 3), (7, 1), (2, 1)]
)
def test_linspace_is_numpys(count: int, k: int) -> None:
    rows = linspace_rows(count, k)
    assert rows.tolist() == np.linspace(0, count - 1, k, dtype=int).tolist()
    assert len(rows.unique()) == k


def test_linspace_rounds_as_numpy_does_for_all_small_numbers() -> None:
    for count in range(2, 90):
        for k in range(1, count):
            assert linspace_rows(count, k).tolist() == np.linspace(0, count - 1, k, dtype=int).tolist(), (count, k)


@pytest.mark.parametrize("k", [7, 8, 100])
def test_few_rows_stay_whole(k: int) -> None:
    assert linspace_rows(7, k).tolist() == [*range(7)]
    assert middles(7, k).tolist() == [*range(7)]
    assert spatial_rows(torch.randint(0, 99, (7, 2)), k).tolist() == [*range(7)]
    assert linspace_rows(7, 0).tolist() == middles(7, 0).tolist() == []


def test_spatial_takes_one_of_each_square_of_a_grid() -> None:
    grid = torch.cartesian_prod(torch.arange(16), torch.arange(16))[torch.randperm(256)] * 512 + 10**6
    rows = spatial_rows(grid, 16)
    squares = (grid[rows] - 10**6) // (4 * 512)
    assert sorted((squares[:, 0] * 4 + squares[:, 1]).tolist()) == [*range(16)]
    assert rows.tolist() == sorted(rows.tolist())
