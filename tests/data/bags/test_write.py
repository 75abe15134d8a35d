"""Writing bags: what is written is read back, and a failed write leaves nothing (features W4, W5)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

from pathplugins import __version__
from pathplugins.core.errors import BagError, PathPluginsError
from pathplugins.data.bags import BagAttributes, BagContract, check_bag, inspect_bag, read_bag, sample_rows, write_bag
from pathplugins.data.bags.rows import row_checksums

PINNED = [6658323463964011520, 7100697998699166976]
KNOWN = {
    "slide_id": "TCGA-A1.9",
    "encoder": "gigapath",
    "patch_size": 256,
    "patch_size_level0": 508,
    "mpp": 0.5,
    "level0_mpp": 0.252,
    "level0_width": 41_003,
    "level0_height": 30_001,
}


def attributes(**changed: object) -> BagAttributes:
    return BagAttributes(**{**KNOWN, **changed})


def yx(n: int) -> np.ndarray:
    return np.stack([np.arange(n) % 59, np.arange(n) // 59], axis=1) * 508


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize(("n", "d"), [(1, 3), (23, 13), (1009, 1536)])
def test_written_is_read(tmp_path: Path, n: int, d: int, dtype: str) -> None:
    values = np.random.default_rng(1).standard_normal((n, d)).astype(np.float32)
    path = tmp_path / "new" / "slide.h5"
    extra = {"tiling": "a1b2", "tissue_share": 0.31}
    write_bag(path, np.array_split(values, min(n, 5)), yx(n), attributes(extra=extra), dtype=dtype)
    bag = read_bag(path)
    assert bag.features.dtype == dtype
    np.testing.assert_array_equal(bag.features, values.astype(dtype))
    np.testing.assert_array_equal(bag.coords_xy, yx(n)[:, ::-1] // 508 * 256)
    info = check_bag(path, BagContract(feature_dim=d))
    assert info.convention == "pathplugins"
    assert {name: getattr(info, name) for name in KNOWN} == KNOWN
    with h5py.File(path) as file:
        assert file["coords_yx"].dtype == np.int64
        assert dict(file.attrs) == {**KNOWN, **extra, "tool_version": f"pathplugins {__version__}"}
    assert [child.name for child in path.parent.iterdir()] == ["slide.h5"]


def bytes_read() -> int:
    return int(Path("/proc/self/io").read_text().split("rchar: ")[1].split()[0])


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="counts bytes read through Linux")
def test_few_rows_cost_few_bytes(tmp_path: Path) -> None:
    path, n = tmp_path / "slide.h5", 4001
    values = np.random.default_rng(1).standard_normal((n, 1536)).astype(np.float16)
    write_bag(path, [values], yx(n), attributes(level0_width=99_000))
    rows = sample_rows(n, 40, seed=2)
    before = bytes_read()
    bag = read_bag(path, rows)
    cost = bytes_read() - before
    np.testing.assert_array_equal(bag.features, values[rows])
    assert cost < path.stat().st_size / 6


def test_w5_damage_is_an_error_not_numbers(tmp_path: Path) -> None:
    path = tmp_path / "slide.h5"
    write_bag(path, [np.ones((23, 1536))], yx(23), attributes())
    with h5py.File(path) as file:
        place = file["features"].id.get_chunk_info(0).byte_offset + 11 * 1536 * 2
    data = bytearray(path.read_bytes())
    data[place + 100] ^= 4
    path.write_bytes(data)
    assert inspect_bag(path).rows == 23
    message = r"slide\.h5 cannot be read \(3 tries\): row 11 of `features` does not match its checksum"
    for rows in ([11], [3, 11, 0], None):
        with pytest.raises(BagError, match=message):
            read_bag(path, None if rows is None else np.array(rows))
    with pytest.raises(BagError, match=message):
        check_bag(path)
    assert read_bag(path, np.array([10, 12])).features.sum() == 2 * 1536


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("d", [1536, 13, 7])
def test_a_large_bag_is_a_few_even_chunks_of_known_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, d: int, dtype: str
) -> None:
    monkeypatch.setattr("pathplugins.data.bags.write._CHUNK_BYTES", 40 * d * np.dtype(dtype).itemsize)
    values = np.random.default_rng(2).standard_normal((101, d)).astype(dtype)
    write_bag(tmp_path / "slide.h5", np.array_split(values, 7), yx(101), attributes(), dtype=dtype)
    with h5py.File(tmp_path / "slide.h5") as file:
        assert file["features"].chunks == (34, d)  # not 40, which would leave most of the third empty
        assert file["features_checksums"][:].tolist() == row_checksums(values).tolist()
    np.testing.assert_array_equal(read_bag(tmp_path / "slide.h5").features, values)
    check_bag(tmp_path / "slide.h5")


def test_checksums_see_what_damage_does() -> None:
    """A flipped bit, swapped words, a page of zeros; and never a change of the numbers from one release to the next."""
    row = np.random.default_rng(3).standard_normal((1, 1536)).astype(np.float16)
    damaged = []
    data = row.view(np.uint8)[0]
    for bit in range(8 * data.size):
        flipped = data.copy()
        flipped[bit // 8] ^= 1 << bit % 8
        damaged.append(flipped.view(np.float16))
    swapped, zeros, both = row[0].copy(), row[0].copy(), data.copy()
    swapped[[4, 40]] = row[0, [40, 4]]
    zeros[512:] = 0
    both[[3, 11]] ^= 0x80  # a bit in each of two words
    damaged += [swapped, zeros, both.view(np.float16)]
    assert (row_checksums(np.stack(damaged)) != row_checksums(row)).all()
    assert row_checksums(np.arange(6, dtype="<f2").reshape(2, 3)).tolist() == PINNED


@pytest.mark.parametrize("checksums", [np.zeros(22, np.uint64), np.zeros(23, np.uint32)])
def test_checksums_of_another_shape(tmp_path: Path, checksums: np.ndarray) -> None:
    path = tmp_path / "slide.h5"
    write_bag(path, [np.ones((23, 3))], yx(23), attributes())
    with h5py.File(path, "r+") as file:
        del file["features_checksums"]
        file["features_checksums"] = checksums
    with pytest.raises(BagError, match=r"`features_checksums` is uint.*expected uint64 \(23,\)"):
        inspect_bag(path)


def test_bags_without_checksums_are_read(tmp_path: Path) -> None:
    """Those of our first versions, and repacked ones: small chunks with a checksum each."""
    path, values = tmp_path / "slide.h5", np.random.default_rng(3).standard_normal((23, 1536)).astype(np.float16)
    write_bag(path, [values], yx(23), attributes())
    with h5py.File(path, "r+") as file:
        del file["features_checksums"], file["features"]
        file.create_dataset("features", data=values, chunks=(5, 1536), fletcher32=True)
        place = file["features"].id.get_chunk_info(2).byte_offset
    np.testing.assert_array_equal(read_bag(path, np.array([22, 3, 11])).features, values[[22, 3, 11]])
    data = bytearray(path.read_bytes())
    data[place + 100] ^= 4
    path.write_bytes(data)
    with pytest.raises(BagError, match=r"slide\.h5 cannot be read"):
        read_bag(path, np.array([11]))


ONES = np.ones((4, 3))


@pytest.mark.parametrize(
    ("batches", "message"),
    [
        ([], "0 feature rows for 5 coordinates"),
        ([ONES], "4 feature rows for 5 coordinates, expected as many"),
        ([ONES, ONES], "8 feature rows or more for 5 coordinates"),
        ([ONES, np.ones((1, 2))], r"a batch is \(1, 2\) after 4 rows, expected \(b, 3\)"),
        ([ONES, np.ones(3)], r"a batch is \(3,\) after 4 rows"),
        ([ONES, np.full((1, 3), np.nan)], "NaN, infinity .* in row 4"),
        ([ONES, np.full((1, 3), 70_000.0)], "beyond float16 in row 4"),
    ],
)
def test_a_failed_write_leaves_nothing(tmp_path: Path, batches: list, message: str) -> None:
    path = tmp_path / "slide.h5"
    with pytest.raises(BagError, match=message):
        write_bag(path, iter(batches), yx(5), attributes())
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_write_keeps_the_older_file(tmp_path: Path) -> None:
    path = tmp_path / "slide.h5"
    write_bag(path, [ONES], yx(4), attributes())

    def interrupted() -> Iterator[np.ndarray]:
        yield np.zeros((2, 3))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_bag(path, interrupted(), yx(4), attributes())
    assert [child.name for child in tmp_path.iterdir()] == ["slide.h5"]
    np.testing.assert_array_equal(read_bag(path).features, ONES)


@pytest.mark.parametrize(
    ("coords", "message"),
    [
        (np.zeros((0, 2), int), "expected integers"),
        (np.zeros((4, 2)), "float64"),
        (np.zeros((4, 3), int), r"\(4, 3\)"),
        (np.array([[0, 0], [-1, 0]]), "patch 1 starts at y, x"),
        (np.array([[0, 0], [0, 41_003]]), r"\[0, 41003\], outside the slide of 41003 x 30001"),
        (np.array([[30_001, 0]]), "are they swapped"),
    ],
)
def test_wrong_coordinates(tmp_path: Path, coords: np.ndarray, message: str) -> None:
    with pytest.raises(BagError, match=message):
        write_bag(tmp_path / "slide.h5", [np.ones((max(len(coords), 1), 3))], coords, attributes())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"mpp": 0.0}, "mpp of TCGA-A1.9 is 0.0, expected more than 0"),
        ({"level0_mpp": float("nan")}, "level0_mpp"),
        ({"patch_size_level0": 256}, "one of the four is wrong"),
        ({"extra": {"mpp": 1.0}}, r"\['mpp'\] .* are taken"),
    ],
)
def test_attributes_judge_themselves(changed: dict, message: str) -> None:
    with pytest.raises(PathPluginsError, match=message):
        attributes(**changed)


def test_features_are_floats(tmp_path: Path) -> None:
    with pytest.raises(BagError, match="as int8, expected float16"):
        write_bag(tmp_path / "slide.h5", [ONES], yx(4), attributes(), dtype="int8")
