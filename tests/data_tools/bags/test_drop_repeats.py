"""Rows that are there twice are dropped, and those that claim one place with other features are refused."""

import numpy as np
import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.bags import Geometry, Opened
from pathplugins.data_tools.bags.drop_repeats import without_repeats

XY = np.array([[0, 0], [256, 0], [0, 0], [0, 256], [256, 0]])


def opened(values: np.ndarray) -> Opened:
    blocks = iter([values[:3], values[3:]])
    return Opened(rows=5, width=2, dtype="float32", blocks=blocks, geometry=Geometry(), coords_xy=XY)


def test_equal_rows_are_dropped_across_blocks() -> None:
    values = np.arange(10, dtype=np.float32).reshape(5, 2)
    values[2], values[4] = values[0], values[1]
    kept, xy, note = without_repeats(opened(values), XY, where="a.h5")
    assert (kept.rows, xy.tolist()) == (3, [[0, 0], [256, 0], [0, 256]])
    np.testing.assert_array_equal(np.concatenate([*kept.blocks]), values[[0, 1, 3]])
    assert note == "2 of 5 rows were there twice, position and features: dropped"


def test_other_features_at_one_place_are_refused() -> None:
    kept, _, _ = without_repeats(opened(np.arange(10, dtype=np.float32).reshape(5, 2)), XY, where="a.h5")
    with pytest.raises(PathPluginsError, match=r"a\.h5: rows 0 and 2 are both at x, y = \[0, 0\] with other features"):
        list(kept.blocks)


def test_without_repeats_nothing_changes() -> None:
    whole = opened(np.ones((5, 2)))
    assert without_repeats(whole, np.arange(10).reshape(5, 2), where="a.h5")[0] is whole
