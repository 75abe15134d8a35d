"""A new HDF5 file is whole or not there; a full disk is one error, and the process lives to write the next file."""

import subprocess
from pathlib import Path

import h5py
import numpy as np
import pytest

from pathplugins.data.new_h5 import Disk, new_h5

ROWS = np.random.default_rng(0).standard_normal((700, 40)).astype(np.float16)


def fill(path: Path) -> None:
    with new_h5(path) as (file, disk):
        features = file.create_dataset("features", ROWS.shape, ROWS.dtype, chunks=(100, 40))
        for start in disk.checked(range(0, 700, 32)):
            features[start : start + 32] = ROWS[start : start + 32]
        file.create_dataset("coords", data=np.arange(1400).reshape(700, 2), chunks=(50, 2), fletcher32=True)
        file.attrs.update({f"name {number}": "x" * 40 for number in range(20)})


def test_what_is_written_is_read_and_the_same_each_time(tmp_path: Path) -> None:
    fill(tmp_path / "a.h5")
    fill(tmp_path / "b.h5")
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    with h5py.File(tmp_path / "a.h5") as file:
        assert np.array_equal(file["features"][:], ROWS)
        assert np.array_equal(file["coords"][:].ravel(), np.arange(1400))
        assert len(file.attrs) == 20


def test_an_error_of_the_block_leaves_the_older_file(tmp_path: Path) -> None:
    (tmp_path / "a.h5").write_text("older")
    with pytest.raises(KeyError, match="mine"), new_h5(tmp_path / "a.h5") as (file, _):
        _ = file["mine"]
    assert [path.name for path in tmp_path.iterdir()] == ["a.h5"]
    assert (tmp_path / "a.h5").read_text() == "older"


def test_every_room_too_small_is_a_full_disk_and_nothing_is_left(tmp_path: Path) -> None:
    fill(tmp_path / "whole.h5")
    pages, small = -(-(tmp_path / "whole.h5").stat().st_size // 4096), tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", small], capture_output=True).returncode:
        pytest.skip("a small disk cannot be mounted here")
    try:
        for room in range(1, pages):
            subprocess.run(["mount", "-o", f"remount,size={4 * room}k", small], check=True)
            with pytest.raises(OSError, match="No space left on device"):
                fill(small / "a.h5")
            assert [*small.iterdir()] == []
        subprocess.run(["mount", "-o", f"remount,size={4 * pages}k", small], check=True)
        fill(small / "a.h5")
        assert (small / "a.h5").read_bytes() == (tmp_path / "whole.h5").read_bytes()
    finally:
        subprocess.run(["umount", "-l", small], check=True)


def test_the_first_error_stops_the_work_at_the_next_item(tmp_path: Path) -> None:
    with Disk(tmp_path / "a", "x+") as disk:
        disk.error = OSError("first")
        items = disk.checked(iter(range(3)))
        assert next(items) == 0
        with pytest.raises(OSError, match="first"):
            next(items)
