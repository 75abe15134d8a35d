"""Shares of the slides of a case: the budget is used up, and no slide vanishes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.case_shares import case_shares


@pytest.mark.parametrize(
    ("rows", "budget", "shares", "wanted"),
    [
        ([3, 4], None, "even", [3, 4]),
        ([3, 4], 7, "even", [3, 4]),
        ([100, 2, 100], 10, "even", [4, 2, 4]),
        ([100, 100, 100], 10, "even", [3, 3, 4]),
        ([100, 2, 100], 10, "in_order", [8, 1, 1]),
        ([5, 2, 100], 10, "in_order", [5, 2, 3]),
        ([7], 4, "in_order", [4]),
    ],
)
def test_shares(rows: list[int], budget: int | None, shares: str, wanted: list[int]) -> None:
    assert case_shares(rows, budget, shares) == wanted


@given(st.lists(st.integers(1, 60), min_size=1, max_size=9), st.integers(9, 80), st.sampled_from(["even", "in_order"]))
def test_the_budget_is_used_up_and_no_slide_vanishes(rows: list[int], budget: int, shares: str) -> None:
    taken = case_shares(rows, budget, shares)
    assert sum(taken) == min(budget, sum(rows))
    assert all(1 <= some <= every for some, every in zip(taken, rows, strict=True))
    if shares == "even":
        cut = [some for some, every in zip(taken, rows, strict=True) if some < every]
        assert not cut or max(taken) - min(cut) <= 1, "a slide that is cut has no fewer rows than another"


def test_what_cannot_be_shared() -> None:
    with pytest.raises(PathPluginsError, match="a case has 3 slides, patches_per_case leaves 2 rows"):
        case_shares([5, 5, 5], 2)
    with pytest.raises(PathPluginsError, match="case_shares is 'fair', expected one of even, in_order"):
        case_shares([5], 2, "fair")
