from __future__ import annotations

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.splits.leaks import leaks_between


def test_each_two_parts_are_compared() -> None:
    parts = {"train": ["a1", "b1", "c1"], "valid": ["b2", "d1"], "test": ["b3", "a2"]}
    found = leaks_between(parts, lambda name: name[0], fold=2)
    assert [(leak.parts, leak.groups) for leak in found] == [
        (("train", "valid"), ("b",)),
        (("train", "test"), ("a", "b")),
        (("valid", "test"), ("b",)),
    ]
    assert str(found[1]) == "fold 2: train and test share 2: a, b"
    assert leaks_between({"train": ["a1"], "test": ["b1"]}, lambda name: name[0]) == []


def test_a_name_without_a_group_is_no_group_of_its_own() -> None:
    with pytest.raises(PathPluginsError, match="1 of 2 names"):
        leaks_between({"train": ["a1"], "test": ["?"]}, lambda name: None if name == "?" else name)
