from __future__ import annotations

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.barcodes import slide_of
from pathplugins.data.splits.groups import coded, groups_of, pattern_group

SLIDE = "TCGA-55-8621-01Z-00-DX1"


def test_a_pattern_names_the_group() -> None:
    assert [pattern_group(r"^(\w+?)_\d+")(name) for name in ("s1_17.png", "s2.png")] == ["s1", None]
    for pattern, message in (("(", "no regular expression"), (r"\w+", "has 0 groups"), ("(a)(b)", "has 2 groups")):
        with pytest.raises(PathPluginsError, match=message):
            pattern_group(pattern)


def test_values_are_numbered_in_order() -> None:
    distinct, codes = coded(["b", "a", "b"])
    assert (distinct, codes.tolist()) == (["a", "b"], [1, 0, 1])


def test_names_without_a_group_are_all_reported() -> None:
    assert groups_of([f"{SLIDE}_1.png", f"{SLIDE}_2.png"], slide_of) == [SLIDE, SLIDE]
    names = [f"{SLIDE}.png", *(f"{number}.png" for number in range(7))]
    with pytest.raises(PathPluginsError, match=r"7 of 8 names .*: 0.png, 1.png, .* and 2 more"):
        groups_of(names, slide_of)
