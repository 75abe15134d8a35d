from __future__ import annotations

import numpy as np
import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.splits.make import TEST, TRAIN, VALID, Plan, assign, make_split

GROUPS = [f"s{number:02}" for number in range(33) for _ in range(number % 4 + 1)]
LABELS = ["odd" if int(group[1:]) % 2 else "even" for group in GROUPS]


def groups_in(parts: np.ndarray, code: int) -> set[str]:
    return {GROUPS[at] for at in np.flatnonzero(parts == code)}


def test_cross_validation_tests_every_group_once_and_validates_on_the_next_fold() -> None:
    parts = assign(GROUPS, LABELS, Plan(folds=5))
    tested = [groups_in(fold, TEST) for fold in parts]
    assert sorted(group for fold in tested for group in fold) == sorted(set(GROUPS))
    for number, fold in enumerate(parts):
        assert groups_in(fold, VALID) == tested[(number + 1) % 5]
        assert not groups_in(fold, TRAIN) & (groups_in(fold, VALID) | groups_in(fold, TEST))


def test_valid_is_a_share_where_one_is_given() -> None:
    parts = assign(GROUPS, LABELS, Plan(folds=2, valid=0.15))
    for fold in parts:
        assert np.mean(fold == TEST) == pytest.approx(0.5, abs=0.04)
        assert np.mean(fold == VALID) == pytest.approx(0.15, abs=0.04)
        assert not groups_in(fold, TRAIN) & groups_in(fold, VALID)


def test_the_published_shares_give_every_class_a_slide_of_each_part() -> None:
    parts = assign(GROUPS, LABELS, Plan(folds=3, valid=0.02, test=0.01))
    for fold in parts:
        for code in (VALID, TEST):
            assert {LABELS[at] for at in np.flatnonzero(fold == code)} == {"odd", "even"}
    assert not groups_in(parts[0], TEST) & groups_in(parts[1], TEST)


def test_one_fold_takes_its_shares_and_may_leave_parts_empty() -> None:
    (fold,) = assign(GROUPS, LABELS, Plan())
    assert [round(float(np.mean(fold == code)), 1) for code in (TRAIN, VALID, TEST)] == [0.7, 0.1, 0.2]
    (fold,) = assign(GROUPS, LABELS, Plan(valid=0, test=0))
    assert (fold == TRAIN).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"folds": 0}, "folds is 0"),
        ({"folds": 2}, "two folds"),
        ({"test": 1.0}, "test is 1.0"),
        ({"valid": -0.1}, "valid is -0.1"),
        ({"folds": 4, "test": 0.0}, "test nothing"),
        ({"folds": 3, "test": 0.4}, "at most 0.333"),
        ({"valid": 0.5, "test": 0.5}, "nothing to train on"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(options: dict, message: str) -> None:
    with pytest.raises(PathPluginsError, match=message):
        Plan(**options)


def test_a_split_names_its_samples_in_order_whatever_the_order_given() -> None:
    names = [f"{group}/{at}.png" for at, group in enumerate(GROUPS)]
    split = make_split(names, GROUPS, LABELS, Plan(folds=3, seed=4), by="slide", source="set")
    turned = make_split(names[::-1], GROUPS[::-1], LABELS[::-1], Plan(folds=3, seed=4), by="slide", source="set")
    assert split == turned
    assert list(split.folds[0].train) == sorted(split.folds[0].train)
    assert split.leaks(lambda name: name.split("/")[0]) == []
    with pytest.raises(PathPluginsError, match="more than once: 1, a"):
        make_split(["a", "a"], ["s", "s"], ["", ""], Plan(), by="slide", source="set")
    with pytest.raises(PathPluginsError, match="nothing to divide"):
        make_split([], [], [], Plan(), by="slide", source="set")


@pytest.mark.parametrize(
    ("groups", "plan", "message"),
    [
        ("aabb", Plan(folds=3), "2 groups are too few.*left for .* of fold"),
        ("ab", Plan(), "left for (train|valid|test); give fewer folds, share 0"),
    ],
)
def test_parts_that_would_be_empty_are_refused(groups: str, plan: Plan, message: str) -> None:
    with pytest.raises(PathPluginsError, match=message):
        assign(groups, ["x"] * len(groups), plan)
    assert (assign("ab", "xx", Plan(valid=0, test=0.5)) == TEST).sum() == 1
