"""H5 datasets in chunks of one row: all rows, in the type asked for."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.bags.h5_rows import write_rows

VALUES = np.random.default_rng(0).standard_normal((11, 3)).astype(np.float32)


def test_blocks_become_rows_that_can_be_appended_to(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        dataset = write_rows(file, "features", [VALUES[:4], VALUES[4:]], shape=(11, 3), dtype="float32")
        np.testing.assert_array_equal(dataset[:], VALUES)
        assert (dataset.chunks, dataset.maxshape) == ((1, 3), (None, 3))


def test_numbers_beyond_the_type_are_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file, pytest.raises(PathPluginsError, match="features from row 4 on"):
        write_rows(file, "features", [VALUES[:4], VALUES[4:] * 1e6], shape=(11, 3), dtype="float16")


def test_missing_rows_are_noticed(tmp_path: Path) -> None:
    with (
        h5py.File(tmp_path / "a.h5", "w") as file,
        pytest.raises(PathPluginsError, match="4 rows of features, expected 11"),
    ):
        write_rows(file, "features", [VALUES[:4]], shape=(11, 3), dtype="float32")
