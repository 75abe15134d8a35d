"""Repeated positions are found, each with the row that it repeats."""

import numpy as np

from pathplugins.data.bags.repeats import repeats_of, repeats_text


def test_rows_and_the_rows_they_repeat() -> None:
    xy = np.array([[5, 1], [0, 9], [5, 1], [1, 5], [0, 9], [5, 1]])
    found = repeats_of(xy)
    assert (found.rows.tolist(), found.first.tolist()) == ([2, 4, 5], [0, 1, 0])
    assert repeats_text(xy).startswith("3 of 6 positions are repeated: row 2 is at the place of row 0, x, y = [5, 1]")


def test_it_agrees_with_a_dictionary() -> None:
    xy = np.random.default_rng(0).integers(0, 12, (200, 2))
    seen: dict[tuple[int, int], int] = {}
    wanted = [(row, first) for row, at in enumerate(map(tuple, xy)) if (first := seen.setdefault(at, row)) != row]
    assert list(zip(*repeats_of(xy), strict=True)) == wanted


def test_a_swapped_pair_is_no_repeat() -> None:
    assert repeats_text(np.array([[256, 0], [0, 256]])) is None
