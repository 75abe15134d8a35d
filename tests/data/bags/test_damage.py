import struct
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from pathplugins.core.errors import BagError
from pathplugins.data.bags import read_bag
from pathplugins.data_tools.bags.findings import reports_of

ROWS, WIDTH = 5, 24


def plain(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset("features", data=np.ones((ROWS, WIDTH), np.float32), chunks=(1, WIDTH))
        file.create_dataset("coords", data=np.arange(2 * ROWS).reshape(ROWS, 2) * 256)


def name_that_is_no_text(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset(b"f\xffeatures", data=np.ones((ROWS, WIDTH)))
        file.create_dataset("coords2", data=np.ones((ROWS, 2)))


def numbers_without_a_name(path: Path) -> None:
    plain(path)
    kind = h5py.h5t.IEEE_F64LE.copy()
    kind.set_fields(63, 47, 16, 0, 47)
    kind.set_ebias(2**15 - 1)
    with h5py.File(path, "r+") as file:
        del file["features"]
        h5py.h5d.create(file.id, b"features", kind, h5py.h5s.create_simple((ROWS, WIDTH)))


def chunk_behind_the_end(path: Path) -> None:
    plain(path)
    last, wrong = (struct.pack("<IIQQQ", 4 * WIDTH, 0, row, 0, 0) for row in (ROWS - 1, 127))
    content = path.read_bytes()
    assert content.count(last) == 1
    path.write_bytes(content.replace(last, wrong))


@pytest.mark.parametrize("spoiled", [name_that_is_no_text, numbers_without_a_name, chunk_behind_the_end])
def test_damaged_metadata_is_an_error_that_names_the_file(tmp_path: Path, spoiled: Callable[[Path], None]) -> None:
    path = tmp_path / "a.h5"
    spoiled(path)
    with pytest.raises(BagError, match=r"a\.h5"):
        read_bag(path)
    (report,) = reports_of(path)
    assert report.wrong
