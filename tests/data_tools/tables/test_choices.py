from __future__ import annotations

from collections import Counter

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.tables.choices import choices_of, shuffled


def test_choices_are_all_labels_or_those_given() -> None:
    assert choices_of("auto", ["b", "a", "b"]) == ["a", "b"]
    assert choices_of("none", ["a"]) == []
    assert choices_of("a|b|c", ["a", "b"]) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("text", "labels", "message"),
    [
        ("auto", ["a", "a"], "all slides are a; choices need two labels"),
        ("auto", ["LUAD", "luad"], "differ by case alone"),
        ("a|b", ["a", "c"], "lacks the labels c"),
        ("a|", ["a"], "two or more"),
    ],
)
def test_choices_that_cannot_be_asked_are_refused(text: str, labels: list[str], message: str) -> None:
    with pytest.raises(PathPluginsError, match=message):
        choices_of(text, labels)


def test_the_order_is_of_the_slide_and_a_letter_says_nothing() -> None:
    choices = ["a", "b", "c"]
    orders = [shuffled(choices, f"s{number}", 0) for number in range(600)]
    assert all(sorted(order) == choices for order in orders)
    assert shuffled(choices, "s5", 0) == orders[5]
    assert [shuffled(choices, f"s{number}", 1) for number in range(600)] != orders
    first = Counter(order[0] for order in orders)
    assert all(150 < count < 250 for count in first.values())
