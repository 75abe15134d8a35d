"""Bags of several resolutions in one run are named; scanners' small differences are not."""

from pathplugins.data.bags.magnifications import magnifications_text, other_magnifications


def test_the_few_are_named_and_the_usual_is_said() -> None:
    found = other_magnifications({"a": 0.5, "b": 0.4985, "c": 0.25, "d": None})
    assert found == {"c": "patches at 0.25 um/px, 2 of 3 bags here are at 0.5"}
    assert "1 bags are of another magnification" in magnifications_text({"a": 0.5, "b": 0.503, "c": 0.25})


def test_nothing_is_said_where_all_agree_or_none_tells() -> None:
    assert magnifications_text({"a": 0.499, "b": 0.503}) is None
    assert magnifications_text({"a": None}) is None
