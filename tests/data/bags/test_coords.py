"""Stored coordinates to (x, y) pixels at 0.5 mpp (feature W4, the coordinate traps of every convention)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pathplugins.core.errors import BagError
from pathplugins.data.bags import BagContract, BagInfo, check_bag, inspect_bag, read_bag, tower_coords
from pathplugins.data.bags import coords as bag_coords

WriteH5 = Callable[..., Path]
ONES = np.ones((3, 5), np.float32)
OURS = {"tool_version": "pathplugins 0", "slide_id": "s", "encoder": "gigapath", "patch_size": 256, "mpp": 0.5}
TRIDENT = {"patch_size": 256, "patch_size_level0": 512, "level0_magnification": 40, "target_magnification": 20}


def info(**known: object) -> BagInfo:
    return BagInfo(**{"path": "s.h5", "rows": 3, "width": 5, "dtype": "float16", "convention": "unpuzzle", **known})


def test_the_worked_example_of_the_docstring(write_h5: WriteH5) -> None:
    """40,000 wide and 30,000 high at 0.25 mpp: x and y, level 0 and tower frame must not be mistaken."""
    root = {**OURS, "patch_size_level0": 512, "level0_mpp": 0.25, "level0_width": 40_000, "level0_height": 30_000}
    path = write_h5(features=ONES, coords_yx=np.array([[1024, 2560], [0, 39_936], [29_696, 0]]), root=root)
    bag = read_bag(path)
    assert bag.info.convention == "pathplugins"
    assert bag.coords_xy.tolist() == [[1280, 512], [19_968, 0], [0, 14_848]]
    assert bag.coords_xy.dtype == np.int64
    assert (bag.coords_xy[0] // 256).tolist() == [5, 2]
    assert read_bag(path, np.array([2])).coords_xy.tolist() == [[0, 14_848]]


def test_swapped_axes_are_caught_by_the_slide_size(write_h5: WriteH5) -> None:
    root = {**OURS, "level0_mpp": 0.25, "level0_width": 40_000, "level0_height": 30_000}
    coords = np.array([[0, 0], [1024, 29_000], [39_936, 0]])
    path = write_h5(features=ONES, coords_yx=coords, root=root)
    with pytest.raises(BagError, match=r"row 2 is outside the slide: x, y = \[0, 39936\] \(1 of 3 rows\).*swapped\?"):
        check_bag(path)


def test_trident(write_h5: WriteH5) -> None:
    coords = np.array([[2560, 1024], [0, 0], [512, 512]])
    attrs = {**TRIDENT, "overlap": 0, "name": "slide-1", "savetodir": "None", "level0_width": 9000.0}
    path = write_h5(features=ONES, coords=coords, on_coords={**attrs, "level0_height": "None"})
    got = inspect_bag(path)
    assert (got.convention, got.slide_id, got.mpp, got.level0_mpp) == ("trident", "slide-1", 0.5, 0.25)
    assert (got.patch_size, got.patch_size_level0, got.level0_width, got.level0_height) == (256, 512.0, 9000, None)
    assert read_bag(path).coords_xy.tolist() == [[1280, 512], [0, 0], [256, 256]]


def test_trident_without_the_magnification_of_the_slide(write_h5: WriteH5) -> None:
    attrs = {**TRIDENT, "level0_magnification": "None", "patch_size_level0": 1024.0}
    path = write_h5(features=ONES, coords=np.array([[2048, 1024], [0, 0], [7, 3]]), on_coords=attrs)
    assert inspect_bag(path).level0_mpp is None
    assert read_bag(path).coords_xy.tolist() == [[512, 256], [0, 0], [2, 1]]  # level 0 is 0.125 mpp


def test_what_was_measured_says_what_a_magnification_would_round(write_h5: WriteH5) -> None:
    coords = np.array([[2560, 1024], [0, 0], [512, 512]])
    for recorded, reduction in (({"level0_mpp": 0.2637}, 2), ({"level0_mpp": 0.2637, "patch_size_level0": 1024}, 4)):
        got = inspect_bag(write_h5(features=ONES, coords=coords, on_coords={**TRIDENT, **recorded}))
        assert (got.mpp, got.level0_mpp, got.nominal) == (0.2637 * reduction, 0.2637, False)
    only_powers = {"level0_magnification": 40, "target_magnification": 10, "mpp": 1.02}
    got = inspect_bag(write_h5(features=ONES, coords=coords, on_coords=only_powers))
    assert (got.mpp, got.level0_mpp, got.nominal) == (1.02, 0.255, False)


def test_a_nominal_resolution_is_said_once(write_h5: WriteH5, caplog: pytest.LogCaptureFixture) -> None:
    bag_coords._say_nominal_once.cache_clear()
    path = write_h5(features=ONES, coords=np.array([[2560, 1024], [0, 0], [512, 512]]), on_coords=TRIDENT)
    assert inspect_bag(path).nominal
    for _ in range(2):
        read_bag(path)
    assert sum("record magnifications, not microns" in message for message in caplog.messages) == 1


def test_stamp(write_h5: WriteH5) -> None:
    root = {"unit": "um", "tile_size_um": 256.0, "tile_size_px": 224, "extractor": b"uni2"}
    path = write_h5(feats=ONES, coords=np.array([[256.0, 512.0], [0, 0], [0.3, 25.3]]), root=root)
    got = inspect_bag(path)
    assert (got.convention, got.units, got.encoder, got.patch_size) == ("stamp", "um", "uni2", 224)
    assert got.mpp == pytest.approx(256 / 224)
    assert read_bag(path).coords_xy.tolist() == [[512, 1024], [0, 0], [1, 51]]
    old = write_h5("old.h5", feats=ONES, coords=np.array([[100, 0], [0, 0], [0, 100]]))
    with pytest.raises(BagError, match="does not record the unit"):
        read_bag(old)
    assert read_bag(old, coords_mpp=1.0).coords_xy.tolist() == [[200, 0], [0, 0], [0, 200]]
    with pytest.raises(BagError, match="coordinates are in 'nm', expected 'um'"):
        inspect_bag(write_h5("nm.h5", feats=ONES, coords=np.ones((3, 2)), root={"unit": "nm"}))


@pytest.mark.parametrize("key", ["coords_yx", "coords"])
@pytest.mark.parametrize("stride", [256, 768, 1280])
def test_published_stride_is_taken_for_tower_pixels_and_said(
    write_h5: WriteH5, key: str, stride: int, caplog: pytest.LogCaptureFixture
) -> None:
    bag_coords._say_assumed_once.cache_clear()
    stored = np.array([[5, 9], [5, 9 + 2 * stride], [5 + stride, 9]])  # a grid may start anywhere
    path = write_h5(features=ONES, **{key: stored})
    with caplog.at_level(logging.WARNING):
        bags = [read_bag(path), read_bag(path)]
    assert len(caplog.records) == 1
    assert "record no unit" in caplog.text
    expected = stored[:, ::-1] if key == "coords_yx" else stored
    np.testing.assert_array_equal(bags[0].coords_xy, expected)


@pytest.mark.parametrize("stride", [512, 1024, 100, 1, 224, 384])
def test_any_other_stride_asks_for_the_unit(write_h5: WriteH5, stride: int) -> None:
    path = write_h5(features=ONES, coords_yx=np.array([[0, 0], [stride, 0], [0, 3 * stride]]))
    with pytest.raises(BagError, match=rf"stride is {stride} px.*coords_mpp: 0\.5 .*coords_mpp: 0\.25"):
        read_bag(path)
    with pytest.raises(BagError, match="does not record the unit"):
        check_bag(path, features=False)
    assert read_bag(path, coords_mpp=0.5).coords_xy[2].tolist() == [3 * stride, 0]
    assert read_bag(path, coords_mpp=0.25).coords_xy[2].tolist() == [np.rint(1.5 * stride), 0]


def test_the_stride_is_that_of_the_whole_bag(write_h5: WriteH5) -> None:
    """Two rows 512 apart say nothing about a 256 px grid, nor two rows 256 apart about 100 px ones."""
    path = write_h5(features=ONES, coords_yx=np.array([[0, 0], [512, 0], [256, 0]]))
    assert read_bag(path, np.array([0, 1])).coords_xy.tolist() == [[0, 0], [0, 512]]
    path = write_h5(features=ONES, coords_yx=np.array([[0, 0], [256, 0], [100, 0]]))
    with pytest.raises(BagError, match="stride is 4 px"):
        read_bag(path, np.array([0, 1]))


def test_a_lone_patch_has_no_stride(write_h5: WriteH5) -> None:
    path = write_h5(features=ONES[:1], coords_yx=np.array([[77, 1001]]))
    assert check_bag(path).rows == 1
    assert read_bag(path).coords_xy.tolist() == [[1001, 77]]


def test_recorded_units_come_before_the_configuration() -> None:
    xy = np.array([[512, 1024], [0, 0]])
    assert tower_coords(xy, info(level0_mpp=0.25), coords_mpp=0.5).tolist() == [[256, 512], [0, 0]]
    geometry = info(mpp=0.5, patch_size=256, patch_size_level0=512.0)
    assert tower_coords(xy, geometry, coords_mpp=0.5).tolist() == [[256, 512], [0, 0]]
    assert tower_coords(xy / 2, info(units="um", convention="stamp"), coords_mpp=9.0).tolist() == [[512, 1024], [0, 0]]
    assert tower_coords(xy, info(), coords_mpp=0.2325).tolist() == [[238, 476], [0, 0]]
    for wrong in (0, -0.5, float("nan"), float("inf")):
        with pytest.raises(BagError, match="expected microns per pixel"):
            tower_coords(xy, info(), coords_mpp=wrong)


@pytest.mark.parametrize(
    ("coords", "message"),
    [
        ([[0, 0], [0, np.nan], [np.inf, 0]], r"row 1 is NaN or infinite.*2 of 3 rows"),
        ([[0, 0], [0, 256], [-256, 0]], r"row 2 is negative: x, y = \[0\.?0?, -256\.?0?\]"),
        ([[0, 0], [0, 256.5], [0, 0]], "row 1 is not whole"),
    ],
)
def test_bad_coordinates(write_h5: WriteH5, coords: list, message: str) -> None:
    path = write_h5(features=ONES, coords_yx=np.array(coords))
    for function in (read_bag, check_bag):
        with pytest.raises(BagError, match=message):
            function(path)


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint16", "int32", "uint64", ">i4"])
def test_whole_numbers_of_any_type(write_h5: WriteH5, dtype: str) -> None:
    coords = np.array([[0, 256], [768, 0], [0, 0]])
    bag = read_bag(write_h5(features=ONES, coords_yx=coords.astype(dtype)))
    assert bag.coords_xy.dtype == np.int64
    np.testing.assert_array_equal(bag.coords_xy, coords[:, ::-1])


@pytest.mark.parametrize(
    ("attribute", "message"),
    [
        ({"level0_mpp": "quarter"}, "`level0_mpp` is 'quarter', expected a positive number"),
        ({"level0_mpp": -0.25}, "expected a positive number"),
        ({"mpp": np.nan}, "expected a positive number"),
        ({"level0_mpp": 0.25, "patch_size_level0": 256}, "128 um of tissue but .* is 64 um; one of the four is wrong"),
    ],
)
def test_attributes_that_cannot_be(write_h5: WriteH5, attribute: dict, message: str) -> None:
    with pytest.raises(BagError, match=message):
        inspect_bag(write_h5(features=ONES, coords_yx=np.zeros((3, 2), int), root={**OURS, **attribute}))


def test_attributes_of_unusual_types_are_read(write_h5: WriteH5) -> None:
    root = {**OURS, "level0_mpp": np.array([0.25]), "encoder": b"gigapath", "slide_id": ""}
    got = inspect_bag(write_h5(features=ONES, coords_yx=np.zeros((3, 2), int), root=root))
    assert (got.level0_mpp, got.encoder, got.slide_id) == (0.25, "gigapath", None)


@pytest.mark.parametrize("mpp", [0.499, 0.5034, 0.4942])
def test_a_scanner_that_is_not_quite_half_a_micron_keeps_one_patch_per_cell(mpp: float) -> None:
    xy = np.stack([np.arange(300) * 256, np.arange(300)[::-1] * 256], axis=1)  # tiled without resampling
    got = tower_coords(xy, info(mpp=mpp, level0_mpp=mpp, patch_size=256, patch_size_level0=256))
    assert (got // 256).tolist() == (xy // 256).tolist()


def test_another_magnification_is_converted_by_its_size_in_microns() -> None:
    xy = np.array([[512, 1024]])  # 40x slide, 256 px patches at 1 mpp
    got = tower_coords(xy, info(mpp=1.0, level0_mpp=0.25, patch_size=256, patch_size_level0=1024))
    assert got.tolist() == [[256, 512]]


def test_another_tower_takes_another_frame(write_h5: WriteH5) -> None:
    root = {**OURS, "patch_size": 256, "patch_size_level0": 512, "mpp": 0.5, "level0_mpp": 0.25}
    path = write_h5(features=ONES, coords_yx=np.array([[0, 0], [512, 1024], [1024, 512]]), root=root)
    assert read_bag(path).coords_xy.tolist() == [[0, 0], [512, 256], [256, 512]]
    assert read_bag(path, frame_mpp=1.0).coords_xy.tolist() == [[0, 0], [256, 128], [128, 256]]
    assert check_bag(path, BagContract(grid=3)).rows == 3
    with pytest.raises(BagError, match=r"px at 1 mpp \(2 such rows\), expected less than 256 \(2 cells of 128 px\)"):
        check_bag(path, BagContract(grid=2, tile_px=128, frame_mpp=1.0))
    assert check_bag(path, BagContract(grid=None)).rows == 3


def test_the_published_frame_is_assumed_in_every_frame() -> None:
    xy = np.array([[0, 0], [256, 768]])
    assert tower_coords(xy, info(convention="unpuzzle"), frame_mpp=0.25).tolist() == [[0, 0], [512, 1536]]
