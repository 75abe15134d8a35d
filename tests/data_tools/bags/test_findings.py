"""Findings: every fault of a file, not the first alone; tests of the command look at each container."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from pathplugins.data.bags import BagContract
from pathplugins.data_tools.bags.findings import reports_of, storage

XY = np.stack([np.arange(7) * 512, np.arange(7) % 2 * 512 + 9216], axis=1)


def clam(path: Path, features: np.ndarray, xy: np.ndarray = XY) -> Path:
    with h5py.File(path, "w") as file:
        file["features"], file["coords"] = features, xy
    return path


def test_all_faults_of_one_file(tmp_path: Path) -> None:
    features = np.ones((7, 3), np.float32)
    features[2], features[5, 1] = 0, np.nan
    xy = XY.copy()
    xy[6] = xy[0]
    (report,) = reports_of(clam(tmp_path / "a.h5", features, xy), contract=BagContract(feature_dim=5))
    wrong = "\n".join(report.wrong)
    for part in (
        "1 of 7 positions are repeated",
        "1 of 7 feature rows hold NaN or infinity, first row 5",
        "1 of 7 feature rows are all zeros, first row 2",
        "features are 3 wide, expected 5",
    ):
        assert part in wrong
    assert report.what == "features of CLAM"


def test_a_file_that_cannot_be_read_is_a_report(tmp_path: Path) -> None:
    (tmp_path / "a.h5").write_bytes(b"text")
    (report,) = reports_of(tmp_path / "a.h5")
    assert (report.what, len(report.wrong)) == ("unknown", 1)
    assert not report.wrong[0].startswith(str(tmp_path))


def test_storage_of_a_dataset(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        assert storage(file.create_dataset("a", data=np.zeros((8, 3)))) == "contiguous"
        packed = file.create_dataset("b", data=np.zeros((8, 3)), chunks=(4, 3), compression="gzip", shuffle=True)
        assert storage(packed) == "chunks 4 x 3, shuffle, gzip"
