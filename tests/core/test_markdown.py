"""Markdown tables."""

import pytest

from pathplugins.core.markdown import markdown_table


def test_cells_stay_cells() -> None:
    table = markdown_table([("name", "a|b"), ("x", "two\nlines"), ("", "y")])
    assert table == "| name | a\\|b |\n|---|---|\n| x | two lines |\n|  | y |\n"


def test_rows_of_several_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match=r"rows of one length, got \[1, 2\]"):
        markdown_table([("a", "b"), ("c",)])
