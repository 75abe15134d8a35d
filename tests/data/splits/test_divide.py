from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest

from pathplugins.data.splits.divide import divide


def samples(groups_of_class: dict[str, int], seed: int = 0) -> tuple[list[str], list[str]]:
    """Groups of odd sizes, each of one class."""
    rng = np.random.default_rng(seed)
    groups, labels = [], []
    for label, count in groups_of_class.items():
        for number in range(count):
            size = int(rng.integers(5, 90))
            groups += [f"{label}-{number}"] * size
            labels += [label] * size
    return groups, labels


def parts_of_groups(groups: list[str], parts: np.ndarray) -> dict[str, set[int]]:
    found = defaultdict(set)
    for group, part in zip(groups, parts.tolist(), strict=True):
        found[group].add(part)
    return found


@pytest.mark.parametrize("shares", [(0.7, 0.1, 0.2), (0.2,) * 5, (0.97, 0.02, 0.01)], ids=str)
def test_groups_stay_whole_and_every_part_has_every_class(shares: tuple[float, ...]) -> None:
    groups, labels = samples({"a": 7, "b": 23, "c": 61})
    parts = divide(groups, labels, shares, [3])
    assert all(len(found) == 1 for found in parts_of_groups(groups, parts).values())
    for part in range(len(shares)):
        assert {labels[at] for at in np.flatnonzero(parts == part)} == {"a", "b", "c"}


@pytest.mark.parametrize("seed", range(4))
def test_classes_have_their_share_where_there_are_groups_enough(seed: int) -> None:
    groups, labels = samples({"a": 60, "b": 90}, seed)
    shares = (0.65, 0.15, 0.2)
    parts = divide(groups, labels, shares, [seed])
    of_class = np.array(labels)
    for label in "ab":
        got = [np.mean(parts[of_class == label] == part) for part in range(3)]
        np.testing.assert_allclose(got, shares, atol=0.02)


def test_groups_with_several_classes_are_balanced_in_each() -> None:
    rng = np.random.default_rng(1)
    groups, labels = [], []
    for number in range(80):  # a slide with tumour has normal tissue too
        groups += [f"s{number}"] * 30
        labels += ["tumour" if rng.random() < (number % 3) / 3 else "normal" for _ in range(30)]
    parts = divide(groups, labels, (0.8, 0.2), [0])
    tumour = np.array(labels) == "tumour"
    assert np.mean(parts[tumour] == 1) == pytest.approx(0.2, abs=0.02)
    assert np.mean(parts[~tumour] == 1) == pytest.approx(0.2, abs=0.02)


def test_the_order_of_samples_is_of_no_account_and_the_seed_is() -> None:
    groups, labels = samples({"a": 20, "b": 31})
    shuffled = np.random.default_rng(5).permutation(len(groups))
    parts = divide(groups, labels, (0.6, 0.4), [0])
    again = divide([groups[at] for at in shuffled], [labels[at] for at in shuffled], (0.6, 0.4), [0])
    np.testing.assert_array_equal(parts[shuffled], again)
    equal = [f"s{number}" for number in range(40)]
    one, other = (divide(equal, ["a"] * 40, (0.5, 0.5), [seed]) for seed in (0, 1))
    assert (one != other).any()


def test_a_part_without_share_stays_empty_and_a_rare_class_goes_to_the_first() -> None:
    parts = divide(["s1", "s2"], ["a", "a"], (0.9, 0.0, 0.1), [0])
    assert sorted(parts.tolist()) == [0, 2]
    assert divide(["s1"], ["a"], (0.9, 0.1), [0]).tolist() == [0]
