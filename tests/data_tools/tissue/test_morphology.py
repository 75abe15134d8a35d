import numpy as np
import pytest

from pathplugins.data_tools.tissue.morphology import dilate, drop_small, erode, find_runs


def by_definition(mask: np.ndarray, diameter: float) -> np.ndarray:
    """Every pixel within half the diameter of a pixel of the mask."""
    h, w = mask.shape
    ys, xs = np.nonzero(mask)
    y, x = np.mgrid[:h, :w]
    return ((y[..., None] - ys) ** 2 + (x[..., None] - xs) ** 2 <= (diameter / 2) ** 2).any(axis=-1)


@pytest.mark.parametrize("shape", [(1, 1), (1, 13), (9, 2), (17, 23), (31, 20)], ids=str)
@pytest.mark.parametrize("diameter", [0, 1, 2, 2.9, 3, 5, 6.3, 8, 13, 50])
def test_dilation_is_that_of_a_disk(shape: tuple[int, int], diameter: float) -> None:
    for seed, share in enumerate((0.02, 0.3, 0.9)):
        mask = np.random.default_rng(seed).random(shape) < share
        assert np.array_equal(dilate(mask, diameter), by_definition(mask, diameter))


def test_erosion_undoes_what_it_can_and_spares_the_border() -> None:
    mask = np.zeros((30, 40), bool)
    mask[:, 10:25] = True
    shrunk = erode(mask, 6)
    assert np.array_equal(np.flatnonzero(shrunk.all(axis=0)), np.arange(13, 22))  # top and bottom are no edges of it
    assert np.array_equal(dilate(shrunk, 6), mask)


def test_drop_small_measures_whole_pieces() -> None:
    mask = np.zeros((9, 12), bool)
    mask[1:8, 1] = mask[1:8, 5] = True
    mask[7, 1:6] = True  # a U: two arms that join at the bottom, 17 pixels
    mask[3, 8:11] = mask[4, 10] = True  # 4 pixels
    mask[5, 11] = True  # touches only at a corner
    kept = drop_small(mask, 5)
    assert kept.sum() == 17
    assert not kept[:, 7:].any()
    assert np.array_equal(drop_small(mask, 0), mask)
    assert drop_small(mask, 4).sum() == 21
    assert not drop_small(mask, 18).any()


def test_runs_are_the_mask() -> None:
    mask = np.random.default_rng(0).random((21, 34)) < 0.6
    again = np.zeros_like(mask)
    runs = find_runs(mask)
    for row, start, end in zip(runs.rows, runs.starts, runs.ends, strict=True):
        assert end > start
        again[row, start:end] = True
    assert np.array_equal(again, mask)
    assert len(find_runs(np.zeros((5, 7), bool)).rows) == 0
