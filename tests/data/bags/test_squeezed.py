"""A leading axis of one is no other data, however the dataset is stored."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from pathplugins.data.bags import check_bag, read_bag, sample_rows
from pathplugins.data.bags.squeezed import squeezed

N, D = 37, 6
VALUES = np.random.default_rng(3).standard_normal((N, D)).astype(np.float32)
XY = np.stack([np.arange(N) % 7, np.arange(N) // 7], axis=1) * 256


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize(
    "stored",
    [{}, {"chunks": (1, 8, D)}, {"chunks": (1, 5, 4), "compression": "gzip", "shuffle": True}],
    ids=["contiguous", "chunks", "gzip"],
)
@pytest.mark.parametrize("coords", [XY, XY[None]], ids=["N2", "1N2"])
def test_bags_of_one_by_n_by_d_are_read_as_the_rows_they_are(
    tmp_path: Path, stored: dict, coords: np.ndarray, dtype: str
) -> None:
    values = VALUES.astype(dtype)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("features", data=values[None], **stored)
        file["coords"] = coords
    info = check_bag(tmp_path / "a.h5", coords_mpp=0.5)
    assert (info.rows, info.width, info.dtype) == (N, D, dtype)
    rows = sample_rows(N, 11, seed=4)
    bag = read_bag(tmp_path / "a.h5", rows, coords_mpp=0.5)
    np.testing.assert_array_equal(bag.features, values[rows])
    np.testing.assert_array_equal(bag.coords_xy, XY[rows])


def test_other_ranks_stay_as_they_are(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for shape in ((5, 3), (2, 5, 3), (5,), (1, 5)):
            dataset = file.create_dataset(str(shape), data=np.ones(shape))
            assert squeezed(dataset) is dataset
