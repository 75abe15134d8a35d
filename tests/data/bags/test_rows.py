"""Reading rows: whatever the storage, the values are those of plain h5py, and damage is an error."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from pathplugins.core.errors import BagError
from pathplugins.data.bags import read_bag, sample_rows
from pathplugins.data.bags.rows import RowReader, faulty_rows, near_runs

N, D = 1009, 13
LAYOUTS = [
    {},
    {"chunks": (1, D)},
    {"chunks": (1, D), "maxshape": (None, D)},
    {"chunks": (8, D)},
    {"chunks": (5, 4)},
    {"chunks": (997, D)},
    {"chunks": (1, D), "compression": "gzip"},
    {"chunks": (64, 5), "compression": "gzip", "shuffle": True},
    {"chunks": (N, D), "compression": "gzip", "compression_opts": 9},
    {"chunks": (16, D), "shuffle": True},
    {"chunks": (16, D), "compression": "lzf"},
    {"chunks": (16, D), "compression": "gzip", "fletcher32": True},
    {"chunks": (16, D), "fletcher32": True},
]


def write(path: Path, values: np.ndarray, **layout: object) -> Path:
    userblock = layout.pop("userblock_size", 0)
    with h5py.File(path, "w", userblock_size=userblock) as file:
        file.create_dataset("features", data=values, **layout)
        file["coords_yx"] = np.stack([np.arange(len(values)) // 7, np.arange(len(values)) % 7], axis=1) * 256
    return path


def random_values(dtype: str = "float32") -> np.ndarray:
    return np.random.default_rng(3).standard_normal((N, D)).astype(dtype)


@pytest.mark.parametrize("dtype", ["<f2", ">f2", "float32", ">f4", "float64"])
@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_any_rows_of_any_storage(tmp_path: Path, layout: dict, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows near and far, across chunks, blocks and gaps, in any order and repeated, are the rows asked for."""
    monkeypatch.setattr("pathplugins.data.bags.rows._BLOCK_BYTES", D * 4 * 101)
    monkeypatch.setattr("pathplugins.data.bags.rows._GAP_BYTES", D * 4 * 3)
    monkeypatch.setattr("pathplugins.data.bags.rows._TASK_BYTES", 500)
    values, rng = random_values(dtype), np.random.default_rng(4)
    path = write(tmp_path / "slide.h5", values, **layout)
    coords = np.stack([np.arange(N) % 7, np.arange(N) // 7], axis=1) * 256
    choices = [sample_rows(N, k, seed=k) for k in (1, 2, 37, 500, 1008, 1009)]
    choices += [sample_rows(N, 90, seed=1, block=16), rng.permutation(N), np.array([3], dtype=np.uint8)]
    choices += [np.array([N - 1, 0, 0, 5, N - 1]), np.array([5, 5, 5]), np.arange(N - 1, -1, -1)]
    for rows in choices:
        bag = read_bag(path, rows)
        assert bag.features.dtype == np.dtype(dtype).newbyteorder("=")
        assert bag.features.dtype.isnative
        np.testing.assert_array_equal(bag.features, values[rows])
        np.testing.assert_array_equal(bag.coords_xy, coords[rows])
    np.testing.assert_array_equal(read_bag(path).features, values)
    with h5py.File(path) as file:
        starts, blocks = zip(*RowReader(file["features"]).blocks(), strict=True)
        np.testing.assert_array_equal(np.concatenate(blocks), values)
        assert list(starts) == np.cumsum([0, *map(len, blocks)])[:-1].tolist()
        assert len(blocks) > 1 or file["features"].chunks == (N, D)


@pytest.mark.parametrize("layout", [{}, {"chunks": (1, D)}, {"chunks": (4, D), "compression": "gzip"}], ids=str)
def test_files_that_begin_with_something_else(tmp_path: Path, layout: dict) -> None:
    values = random_values()
    path = write(tmp_path / "slide.h5", values, userblock_size=4096, **layout)
    rows = sample_rows(N, 30, seed=2)
    np.testing.assert_array_equal(read_bag(path, rows).features, values[rows])


def test_values_kept_in_the_header_of_the_file(tmp_path: Path) -> None:
    values = random_values()[:20]
    with h5py.File(write(tmp_path / "slide.h5", values), "r+") as file:
        del file["features"]
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_layout(h5py.h5d.COMPACT)
        space = h5py.h5s.create_simple(values.shape)
        dataset = h5py.h5d.create(file.id, b"features", h5py.h5t.IEEE_F32LE, space, plist)
        dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, values)
    np.testing.assert_array_equal(read_bag(tmp_path / "slide.h5", np.array([19, 2])).features, values[[19, 2]])


def test_number_formats_numpy_has_no_name_for(tmp_path: Path) -> None:
    """bfloat16 is two bytes, as float16 is; HDF5 must convert it."""
    values = random_values().astype(np.float32).view(np.uint32) >> 16 << 16
    values = values.view(np.float32)  # what bfloat16 can hold
    with h5py.File(write(tmp_path / "slide.h5", values), "r+") as file:
        del file["features"]
        kind = h5py.h5t.IEEE_F32LE.copy()
        kind.set_fields(15, 7, 8, 0, 7)
        kind.set_size(2)
        kind.set_ebias(127)
        dataset = h5py.h5d.create(file.id, b"features", kind, h5py.h5s.create_simple(values.shape))
        dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, values)
        wanted = file["features"][:]
    rows = np.array([1000, 4])
    np.testing.assert_array_equal(read_bag(tmp_path / "slide.h5", rows).features, wanted[rows])
    np.testing.assert_allclose(wanted, values)


@pytest.mark.parametrize("shuffle", [False, True])
def test_chunks_whose_filters_were_left_out(tmp_path: Path, shuffle: bool) -> None:
    """HDF5 stores a chunk as it is where gzip would only make it larger, and says so chunk by chunk."""
    values = random_values()
    path = write(tmp_path / "slide.h5", values, chunks=(4, D), compression="gzip", shuffle=shuffle)
    changed = np.full((4, D), 7, np.float32)
    with h5py.File(path, "r+") as file:
        file["features"].id.write_direct_chunk((8, 0), changed.tobytes(), 0b11 if shuffle else 0b1)
    values[8:12] = changed
    np.testing.assert_array_equal(read_bag(path, np.array([900, 9, 3])).features, values[[900, 9, 3]])


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pathplugins.data.bags._RETRY_WAITS_S", (0.0, 0.0))


@pytest.mark.parametrize(
    "layout", [{}, {"chunks": (1, D)}, {"chunks": (4, D)}, {"chunks": (8, D), "compression": "gzip"}], ids=str
)
def test_a_file_cut_short_is_an_error(tmp_path: Path, layout: dict) -> None:
    path = write(tmp_path / "slide.h5", random_values(), **layout)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(BagError, match=r"slide\.h5 cannot be read \(3 tries\)"):
        read_bag(path, np.array([N - 1]))


def test_a_damaged_gzip_chunk_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path / "slide.h5", np.round(random_values(), 1), chunks=(8, D), compression="gzip")
    with h5py.File(path) as file:
        place = file["features"].id.get_chunk_info(3).byte_offset
    data = bytearray(path.read_bytes())
    data[place + 60] ^= 16
    path.write_bytes(data)
    with pytest.raises(BagError, match="a chunk of `features` does not inflate"):
        read_bag(path, np.array([30, 700, 701]))
    assert read_bag(path, np.array([700])).features.shape == (1, D)


def test_a_chunk_that_was_never_written_is_an_error(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "slide.h5", "w") as file:
        for name, chunks in (("rows", (1, D)), ("many", (40, D)), ("narrow", (4, 5))):
            dataset = file.create_dataset(name, (N, D), "f4", chunks=chunks)
            dataset[:80] = 1
    with h5py.File(tmp_path / "slide.h5") as file:
        for name in ("rows", "many", "narrow"):
            assert RowReader(file[name]).read(np.array([3, 79])).sum() == 2 * D
            with pytest.raises((OSError, RuntimeError, KeyError)):
                RowReader(file[name]).read(np.array([3, 85]))
            with pytest.raises((OSError, RuntimeError, KeyError)):
                RowReader(file[name]).read(np.arange(N))


def test_no_chunk_is_read_twice() -> None:
    """A chunk costs the same whether one or all of its rows are wanted, so one read must take them all."""
    for chunk_rows in (1, 4, 97, 640):
        rows = sample_rows(10_007, 300, seed=chunk_rows)
        runs = list(near_runs(rows, block_rows=1280 - 1280 % chunk_rows, chunk_rows=chunk_rows, row_bytes=8192))
        np.testing.assert_array_equal(np.concatenate([rows[run] for run in runs]), rows)
        chunks = [chunk for run in runs for chunk in np.unique(rows[run] // chunk_rows)]
        assert len(chunks) == len(set(chunks))
        assert len(runs) > 5  # and not everything in one


def test_faulty_rows_are_numbered_over_all_blocks() -> None:
    values = random_values()[:7].astype(np.float32)
    values[1], values[4], values[6, 0] = 0, np.nan, np.inf
    assert faulty_rows([values[:2], values[2:5], values[5:]]) == ([4, 6], [1])
    assert faulty_rows([]) == ([], [])
    assert faulty_rows([np.array([[1.0, 2.0], [1.0, -1e39]])]) == ([1], [])  # no model computes in float64
