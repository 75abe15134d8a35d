"""Bags behind filters of hdf5plugin: read where it is installed, named where it is not."""

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from pathplugins.core.errors import BagError
from pathplugins.data.bags import check_bag, read_bag
from pathplugins.data.bags.filters import filter_names

VALUES = np.random.default_rng(3).standard_normal((29, 6)).astype(np.float32)
XY = np.stack([np.arange(29) % 7, np.arange(29) // 7], axis=1) * 256
READ = """
import sys
from pathplugins.data.bags import read_bag
print(read_bag(sys.argv[1], coords_mpp=0.5).features.sum())
"""


def written(path: Path, **filter_: object) -> Path:
    with h5py.File(path, "w") as file:
        file.create_dataset("features", data=VALUES, chunks=(8, 6), **filter_)
        file["coords"] = XY
    return path


@pytest.mark.parametrize("name", ["Zstd", "Blosc2", "Bitshuffle"])
def test_plugins_are_brought_in_when_a_bag_wants_them(tmp_path: Path, name: str) -> None:
    hdf5plugin = pytest.importorskip("hdf5plugin")
    path = written(tmp_path / "a.h5", **getattr(hdf5plugin, name)())
    rows = np.array([28, 3, 4])
    np.testing.assert_array_equal(read_bag(path, rows, coords_mpp=0.5).features, VALUES[rows])
    # in a process that has not imported hdf5plugin itself
    told = subprocess.run([sys.executable, "-c", READ, path], capture_output=True, text=True, check=True).stdout
    assert float(told) == pytest.approx(VALUES.sum(), rel=1e-5)


def test_a_filter_that_is_missing_is_named_with_the_package(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((8, 6))
        plist.set_filter(32_123, h5py.h5z.FLAG_OPTIONAL, (1,))  # no such filter: skipped while writing
        space = h5py.h5s.create_simple(VALUES.shape)
        dataset = h5py.h5d.create(file.id, b"features", h5py.h5t.IEEE_F32LE, space, plist)
        dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, VALUES)
        file["coords"] = XY
        assert filter_names(file["features"]) == ["filter 32123"]
    with pytest.raises(BagError, match=r"`features` is compressed by the HDF5 filter 32123 .* pip install hdf5plugin"):
        check_bag(tmp_path / "a.h5", coords_mpp=0.5)
