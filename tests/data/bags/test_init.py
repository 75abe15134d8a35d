"""Reading, sampling and checking bags (features W4, W5, W7, W8)."""

from __future__ import annotations

import multiprocessing
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from pathplugins.core.errors import BagError, PathPluginsError
from pathplugins.data.bags import BagContract, check_bag, inspect_bag, read_bag, sample_rows, stable_seed

WriteH5 = Callable[..., Path]
PINNED = "5286683752240036818 [6249, 6841, 8972, 9446]"


def yx(n: int, stride: int = 256) -> np.ndarray:
    cells = np.arange(n)
    return np.stack([cells // 7, cells % 7], axis=1) * stride


def test_w4_inspect_reads_shape_dtype_and_convention(write_h5: WriteH5, features: np.ndarray) -> None:
    path = write_h5(features=features, coords_yx=yx(23))
    info = inspect_bag(path)
    assert (info.path, info.rows, info.width, info.dtype) == (str(path), 23, 13, "float16")
    assert (info.convention, info.encoder, info.mpp, info.units) == ("unpuzzle", None, None, "px0")


@pytest.mark.parametrize("dtype", ["float16", "float32", ">f4", "float64"])
def test_read_keeps_values_and_gives_native_byte_order(write_h5: WriteH5, features: np.ndarray, dtype: str) -> None:
    bag = read_bag(write_h5(features=features.astype(dtype), coords_yx=yx(23)))
    assert bag.features.dtype == np.dtype(dtype).newbyteorder("=")
    assert bag.features.dtype.isnative
    np.testing.assert_array_equal(bag.features, features)


@pytest.mark.parametrize("rows", [[-1], [23], [0.5], [], [[1]], [True]], ids=str)
def test_rows_the_bag_does_not_have(write_h5: WriteH5, features: np.ndarray, rows: list) -> None:
    path = write_h5(features=features, coords_yx=yx(23))
    with pytest.raises(BagError, match=r"slide\.h5: asked for rows .*within 0\.\.22"):
        read_bag(path, np.array(rows))


def test_w5_missing_file_is_an_error_not_zeros(tmp_path: Path) -> None:
    for function in (inspect_bag, read_bag, check_bag):
        with pytest.raises(BagError, match=r"nothing\.h5: no such file"):
            function(tmp_path / "nothing.h5")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is empty"),
        (b"PK\x03\x04 a zip file", "starts with b'PK"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "git lfs pull"),
    ],
)
def test_w5_not_hdf5(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "slide.h5"
    path.write_bytes(content)
    with pytest.raises(BagError, match=message) as caught:
        inspect_bag(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("kept", [0.3, 0.7, 0.99])
def test_w5_truncated_file(write_h5: WriteH5, features: np.ndarray, kept: float) -> None:
    path = write_h5(features=features, coords_yx=yx(23))
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(BagError, match=r"slide\.h5 cannot be read \(3 tries\).*copy or extract"):
        read_bag(path)


def test_w5_a_read_that_fails_is_tried_again(write_h5: WriteH5, features: np.ndarray) -> None:
    path = write_h5(features=features, coords_yx=yx(23))
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    repair = threading.Timer(0.2, path.write_bytes, [whole])
    repair.start()
    try:
        assert read_bag(path).info.rows == 23
    finally:
        repair.join()


@pytest.mark.parametrize(
    ("datasets", "message"),
    [
        ({}, "has no datasets; expected `features`"),
        ({"x": np.zeros(3), "a/feat": np.ones(2)}, "has a, x; expected `features`"),
        ({f"slide{i:02}": np.ones(1) for i in range(30)}, r"slide09, \.\.\.; expected"),
        ({"features": np.ones((3, 2))}, "features without positions; add those of .*--coords DIR"),
        ({"features/a/b": np.ones((3, 2)), "coords_yx": np.ones((3, 2))}, "`features/a` is a Group"),
        ({"features": np.ones(5), "coords": np.ones((5, 2))}, r"\(5,\), expected \(N, D\).*slide embedding"),
        ({"features": np.ones((2, 5, 3)), "coords": np.ones((5, 2))}, r"\(2, 5, 3\), expected \(N, D\)"),
        ({"features": np.ones((5, 3)), "coords_yx": np.ones((4, 2), int)}, r"\(4, 2\).*\(5, 3\); expected \(5, 2\)"),
        ({"features": np.ones((5, 3)), "coords_yx": np.ones((5, 3), int)}, r"\(5, 3\).*expected \(5, 2\)"),
        ({"features": np.ones((0, 3)), "coords": np.ones((0, 2))}, "empty bag"),
        ({"features": np.ones((0,)), "coords": np.ones((0, 2))}, "empty bag"),
        ({"features": np.ones((5, 3), np.uint8), "coords": np.ones((5, 2))}, "holds uint8, expected float16"),
        ({"features": np.ones((5, 3)), "coords_yx": np.array([["a", "b"]] * 5, "S1")}, "expected integers"),
    ],
)
def test_w4_wrong_datasets(write_h5: WriteH5, datasets: dict, message: str) -> None:
    with pytest.raises(BagError, match=message) as caught:
        inspect_bag(write_h5(**datasets))
    assert "slide.h5" in str(caught.value)


def test_a_name_that_a_spreadsheet_changed_is_the_probable_cause(tmp_path: Path) -> None:
    (tmp_path / "00123.h5").touch()
    with pytest.raises(BagError, match="did a spreadsheet change its name\\? 00123 is there"):
        inspect_bag(tmp_path / "123.h5")


def test_links_and_outside_storage_are_not_followed(tmp_path: Path, write_h5: WriteH5) -> None:
    ones = np.ones((4, 3), np.float32)
    write_h5("other.h5", features=ones)
    (tmp_path / "raw.bin").write_bytes(ones.tobytes())
    source = h5py.VirtualSource(str(tmp_path / "other.h5"), "features", shape=(4, 3), dtype="f4")
    layout = h5py.VirtualLayout(shape=(4, 3), dtype="f4")
    layout[:] = source
    makers: dict[str, Callable[[h5py.File], object]] = {
        "ExternalLink": lambda file: file.__setitem__("features", h5py.ExternalLink("other.h5", "/features")),
        "SoftLink": lambda file: file.__setitem__("features", h5py.SoftLink("/elsewhere")),
        "values in other files": lambda file: file.create_virtual_dataset("features", layout),
        "in other files": lambda file: file.create_dataset(
            "features", (4, 3), "f4", external=[(str(tmp_path / "raw.bin"), 0, 48)]
        ),
    }
    for message, make in makers.items():
        path = tmp_path / "linked.h5"
        with h5py.File(path, "w") as file:
            make(file)
            file["coords_yx"] = yx(4)
        for function in (inspect_bag, read_bag):
            with pytest.raises(BagError, match=message):
                function(path)


@pytest.mark.parametrize("written", [0, 11])
def test_w5_half_written_bag(tmp_path: Path, written: int) -> None:
    """HDF5 returns zeros for chunks that were never written."""
    path = tmp_path / "slide.h5"
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset("features", (23, 13), "f2", chunks=(4, 13))
        dataset[:written] = 1
        file["coords_yx"] = yx(23)
    with pytest.raises(BagError, match="was not written to its end"):
        read_bag(path)


def test_check_names_width_and_encoder(write_h5: WriteH5, features: np.ndarray) -> None:
    path = write_h5(features=features, coords_yx=yx(23), root={"encoder": "uni"})
    assert check_bag(path, BagContract(feature_dim=13)).width == 13
    with pytest.raises(BagError, match=r"13 wide, expected 1536; made with another encoder\? \(the bag names uni\)"):
        check_bag(path, BagContract(feature_dim=1536))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_check_finds_non_finite_features(write_h5: WriteH5, value: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pathplugins.data.bags.rows._BLOCK_BYTES", 3 * 13 * 2)
    values = np.ones((23, 13), np.float16)
    values[[8, 20], 12] = value
    path = write_h5(features=values, coords_yx=yx(23))
    with pytest.raises(BagError, match=r"slide\.h5: feature row 8 holds NaN or infinity \(2 of 23 rows\)"):
        check_bag(path)
    assert check_bag(path, features=False).rows == 23


def test_w8_zero_rows_are_not_features(write_h5: WriteH5) -> None:
    values = np.ones((23, 13), np.float32)
    values[19:] = 0
    with pytest.raises(BagError, match=r"row 19 is all zeros \(4 of 23 rows\)"):
        check_bag(write_h5(features=values, coords_yx=yx(23)))


def test_check_grid(write_h5: WriteH5, features: np.ndarray) -> None:
    coords = yx(23)
    coords[17, 1] = 256 * 999  # column 999, the last of 1,000
    path = write_h5(features=features, coords_yx=coords)
    assert check_bag(path).rows == 23
    with pytest.raises(BagError, match=r"row 17 .*expected less than 255744 \(999 cells"):
        check_bag(path, BagContract(grid=999))
    with pytest.raises(BagError, match=r"row 17 is at x, y = \[255744, 512\].*expected less than 255488"):
        check_bag(path, BagContract(grid=998))
    with pytest.raises(BagError, match=r"row 17 .*set coords_mpp"):
        check_bag(path, coords_mpp=0.51)


def test_w7_sample_rows() -> None:
    for n in (1, 2, 7, 23, 1001):
        for k in (1, 2, 22, 23, 1000, None):
            rows = sample_rows(n, k, seed=4)
            assert rows.dtype == np.int64
            assert len(rows) == (n if k is None else min(n, k))
            assert (np.diff(rows) > 0).all()
            assert rows.min() >= 0
            assert rows.max() < n
            np.testing.assert_array_equal(rows, sample_rows(n, k, seed=4))
    assert sample_rows(1001, 20, seed=4).tolist() != sample_rows(1001, 20, seed=5).tolist()
    hits = np.bincount(np.concatenate([sample_rows(10, 3, seed) for seed in range(2000)]), minlength=10)
    assert hits.min() > 500  # 600 expected of each row
    with pytest.raises(ValueError, match="asked for 0 rows"):
        sample_rows(5, 0, seed=1)


def test_blocks_of_neighbours() -> None:
    for n, k, block in [(1001, 20, 4), (1001, 1000, 7), (23, 22, 64), (50, 3, 8), (1001, 64, 64), (9, 8, 2)]:
        for seed in range(20):
            rows = sample_rows(n, k, seed, block=block)
            assert (rows.dtype, len(rows)) == (np.int64, k)
            assert rows[0] >= 0
            assert rows[-1] < n
            runs = 1 + np.count_nonzero(np.diff(rows) > 1)
            assert (np.diff(rows) > 0).all()
            assert runs <= k // block + 3  # the short block of the ring, its seam, and what is left of k
            np.testing.assert_array_equal(rows, sample_rows(n, k, seed, block=block))
    assert sample_rows(7, None, 0, block=4).tolist() == sample_rows(7, 9, 0, block=4).tolist() == list(range(7))
    with pytest.raises(ValueError, match="blocks of 0 rows"):
        sample_rows(7, 3, 0, block=0)


@pytest.mark.parametrize(("n", "k", "block"), [(10, 3, 4), (11, 7, 3), (13, 5, 5)])
def test_blocks_favour_no_row(n: int, k: int, block: int) -> None:
    hits = np.bincount(np.concatenate([sample_rows(n, k, seed, block=block) for seed in range(4000)]), minlength=n)
    expected = 4000 * k / n
    assert np.abs(hits - expected).max() < 4.5 * np.sqrt(expected)


def test_w7_seeds_and_rows_are_the_same_everywhere() -> None:
    """Pinned values: another machine, process or numpy must give the same rows."""
    code = (
        "from pathplugins.data.bags import sample_rows, stable_seed\n"
        "print(stable_seed('TCGA-A1.x', 3, b'e'), sample_rows(10000, 4, 7).tolist())"
    )
    for hash_seed in ("1", "2"):
        printed = subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert printed.strip() == PINNED


def test_stable_seed_tells_parts_apart() -> None:
    seeds = [
        stable_seed(*parts)
        for parts in [(), ("",), ("ab", "c"), ("a", "bc"), ("abc",), (b"abc",), (1,), ("1",), (-1,), (1, 1), (11,)]
    ]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert stable_seed(np.int64(5)) == stable_seed(5)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        stable_seed(1.5)  # type: ignore[arg-type]


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_bags_are_read_in_workers(write_h5: WriteH5, features: np.ndarray, method: str) -> None:
    path = write_h5(features=features, coords_yx=yx(23))
    read_bag(path)  # the parent has used the library before
    with multiprocessing.get_context(method).Pool(2) as pool:
        bags = pool.starmap(read_bag, [(path, np.array([row, row + 1])) for row in range(6)])
    for row, bag in enumerate(bags):
        np.testing.assert_array_equal(bag.features, features[row : row + 2])


def test_errors_survive_the_way_out_of_a_worker(tmp_path: Path) -> None:
    with pytest.raises(BagError) as caught:
        inspect_bag(tmp_path / "nothing.h5")
    again = pickle.loads(pickle.dumps(caught.value))
    assert (type(again), str(again), again.reason) == (type(caught.value), str(caught.value), "missing file")


@pytest.mark.parametrize("key", ["features", "feats"])
def test_a_bag_without_positions_is_for_those_who_ask_for_none(
    write_h5: WriteH5, features: np.ndarray, key: str
) -> None:
    path = write_h5(**{key: features[None]})  # a leading axis of one, as some tools write
    with pytest.raises(BagError, match=r"features without positions.*vision_model_name: features"):
        inspect_bag(path)
    info = inspect_bag(path, positions=False)
    assert (info.rows, info.width, info.convention, info.positions) == (*features.shape, "bare", False)
    bag = read_bag(path, np.array([2, 0]), frame_mpp=None, positions=False)
    np.testing.assert_array_equal(bag.features, features[[2, 0]])
    np.testing.assert_array_equal(bag.coords_xy, [[-1, -1], [-1, -1]])
    any_features = BagContract(frame_mpp=None, grid=None)
    assert check_bag(path, any_features).rows == len(features)
    with pytest.raises(BagError, match="without positions"):
        check_bag(path, any_features, positions=True)  # a token selector that asks where patches lie


def test_positions_stay_as_stored_for_those_who_ask_for_none(write_h5: WriteH5, features: np.ndarray) -> None:
    """Their unit is not recorded and their stride fits several, which only a tower with a frame has to know."""
    stored = yx(len(features), stride=300)
    path = write_h5(features=features, coords=stored[:, ::-1])
    with pytest.raises(BagError, match="coords_mpp"):
        read_bag(path)
    np.testing.assert_array_equal(read_bag(path, frame_mpp=None).coords_xy, stored[:, ::-1])
    assert check_bag(path, BagContract(frame_mpp=None, grid=None)).positions
    twice = write_h5("twice.h5", features=features, coords=np.zeros_like(stored))
    with pytest.raises(BagError, match="position"):
        check_bag(twice, BagContract(frame_mpp=None, grid=None))


def test_rows_even_or_first() -> None:
    np.testing.assert_array_equal(sample_rows(10, 4, seed=1, sampling="linspace"), [0, 3, 6, 9])
    np.testing.assert_array_equal(sample_rows(11, 4, seed=1, sampling="linspace"), [0, 3, 6, 10])
    np.testing.assert_array_equal(sample_rows(10, 4, seed=1, sampling="first"), [0, 1, 2, 3])
    assert len(set(sample_rows(10_241, 10_240, seed=1, sampling="linspace").tolist())) == 10_240
    np.testing.assert_array_equal(sample_rows(3, 4, seed=1, sampling="linspace"), [0, 1, 2])
    with pytest.raises(PathPluginsError, match="expected one of random, linspace, first"):
        sample_rows(10, 4, seed=1, sampling="even")


def test_features_may_lie_in_a_group_named_by_their_encoder(write_h5: WriteH5, features: np.ndarray) -> None:
    """PathoSynVLM's ``/features/conch_v15``."""
    path = write_h5(**{"features/conch_v15": features})
    info = inspect_bag(path, positions=False)
    assert (info.rows, info.width, info.convention, info.encoder) == (*features.shape, "bare", "conch_v15")
    np.testing.assert_array_equal(read_bag(path, frame_mpp=None, positions=False).features, features)
    with pytest.raises(BagError, match="features without positions"):
        inspect_bag(path)
    placed = write_h5("placed.h5", **{"features/uni": features, "coords_yx": yx(len(features))})
    assert inspect_bag(placed).encoder == "uni"
    two = write_h5("two.h5", **{"features/conch_v15": features, "features/uni": features})
    with pytest.raises(BagError, match=r"the group `features` holds conch_v15, uni; expected one dataset.*h5copy"):
        inspect_bag(two, positions=False)
    with h5py.File(path.with_name("linked.h5"), "w") as file:
        file["features"] = h5py.ExternalLink(str(path), "/features")
    with pytest.raises(BagError, match="link"):
        inspect_bag(path.with_name("linked.h5"), positions=False)
