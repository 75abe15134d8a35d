import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathplugins.data_tools.tissue.contours import fill, polygons
from pathplugins.data_tools.tissue.morphology import dilate, erode, find_runs


def redrawn(found: list[list[np.ndarray]], shape: tuple[int, int]) -> np.ndarray:
    mask = np.zeros(shape, bool)
    for polygon in found:
        fill(mask, polygon)
    return mask


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 18), st.integers(1, 18), st.floats(0, 1), st.integers(0, 2**32 - 1))
def test_polygons_are_the_mask(h: int, w: int, share: float, seed: int) -> None:
    mask = np.random.default_rng(seed).random((h, w)) < share
    found = polygons(mask)
    assert np.array_equal(redrawn(found, mask.shape), mask)
    assert len(found) == len(np.unique(find_runs(mask).pieces))
    for polygon in found:
        for ring in polygon:
            steps = np.abs(np.diff(ring, axis=0, append=ring[:1]))
            assert ((steps > 0).sum(axis=1) == 1).all()  # along the borders of pixels, no step for nothing
            assert (steps[:-1] * steps[1:] == 0).all()  # and only the corners


def test_a_ring_with_an_island_in_its_hole() -> None:
    mask = np.zeros((20, 30), bool)
    mask[2:18, 3:27] = True
    mask[5:15, 8:22] = False
    mask[8:11, 12:18] = True
    (outline, hole), (island,) = polygons(mask)
    assert sorted(map(tuple, outline.tolist())) == [(3, 2), (3, 18), (27, 2), (27, 18)]
    assert sorted(map(tuple, hole.tolist())) == [(8, 5), (8, 15), (22, 5), (22, 15)]
    assert sorted(map(tuple, island.tolist())) == [(12, 8), (12, 11), (18, 8), (18, 11)]


def test_pixels_that_touch_at_a_corner_are_pieces_of_their_own() -> None:
    assert [len(p) for p in polygons(np.eye(3, dtype=bool))] == [1, 1, 1]
    assert [len(p) for p in polygons(~np.eye(3, dtype=bool))] == [1, 1]


def test_fewer_points_and_nearly_the_same_mask() -> None:
    seeds = np.random.default_rng(3).random((200, 310)) < 0.002
    mask = dilate(seeds, 25)
    mask[[0, 1, -2, -1]] = False
    mask[:, [0, 1, -2, -1]] = False  # erosion spares the border of the picture
    exact, simple = polygons(mask), polygons(mask, tolerance_px=1.0)
    points = [sum(len(ring) for polygon in found for ring in polygon) for found in (exact, simple)]
    assert points[1] < points[0] / 2
    wrong = redrawn(simple, mask.shape) != mask
    assert not (wrong & (erode(mask, 4) | erode(~mask, 4))).any()  # only beside the line
    assert [len(polygon) for polygon in simple] == [len(polygon) for polygon in exact]
    assert len(polygons(np.ones((1, 1), bool), tolerance_px=1.0)[0][0]) == 4  # a pixel stays one


@pytest.mark.parametrize("shift", [0.0, 0.25, 0.49])
def test_centres_decide(shift: float) -> None:
    mask = np.zeros((6, 9), bool)
    fill(mask, [np.array([[2, 1], [5, 1], [5, 4], [2, 4]]) + shift])
    assert mask[1:4, 2:5].all()
    assert mask.sum() == 9


def test_what_lies_outside_is_cut_off() -> None:
    mask = np.zeros((6, 9), bool)
    fill(mask, [np.array([[-50.0, -50], [4, -50], [4, 50], [-50, 50]])])
    assert mask[:, :4].all()
    assert not mask[:, 4:].any()
    fill(mask, [np.array([[20.0, 1], [30, 1], [30, 4]])])
    fill(mask, [np.array([[1.0, 20], [3, 20], [3, 40]])])
    assert not mask[:, 4:].any()
