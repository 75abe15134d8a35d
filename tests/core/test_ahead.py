"""Results come in the order of the items, and few items are taken before theirs are given out."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from pathplugins.core.ahead import AHEAD, in_order


def test_order_is_kept_and_few_are_ahead() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in range(3 * AHEAD):
            taken.append(number)
            yield number

    with ThreadPoolExecutor(3) as pool:
        for given, result in enumerate(in_order(pool, lambda number: number * number, items())):
            assert result == given * given
            assert len(taken) <= given + AHEAD + 1
    assert len(taken) == 3 * AHEAD


def test_an_error_is_raised_in_its_place() -> None:
    with ThreadPoolExecutor(2) as pool:
        results = in_order(pool, lambda number: 6 // number, [3, 2, 0])
        assert [next(results), next(results)] == [2, 3]
        with pytest.raises(ZeroDivisionError):
            next(results)
