from __future__ import annotations

import numpy as np

from pathplugins.data.splits.summary import count_parts, lacking, summary_text

PARTS = np.array([[0, 0, 0, 1, 2, -1]], np.int8)
GROUPS, LABELS = ["s1", "s1", "s2", "s3", "s4", "s5"], ["a", "b", "a", "a", "b", "b"]


def test_parts_are_counted_and_what_they_lack_is_said() -> None:
    counted = count_parts(PARTS, GROUPS, LABELS)
    assert [(each.part, each.samples, each.groups, each.classes) for each in counted] == [
        ("train", 3, 2, {"a": 2, "b": 1}),
        ("valid", 1, 1, {"a": 1, "b": 0}),
        ("test", 1, 1, {"a": 0, "b": 1}),
    ]
    assert lacking(counted) == ["fold 0: valid has no sample of b", "fold 0: test has no sample of a"]
    assert summary_text(counted, by="slide").splitlines() == [
        " part  samples  slides  a  b",
        "train        3       2  2  1",
        "valid        1       1  1  0",
        " test        1       1  0  1",
    ]
    assert [each.groups for each in count_parts(PARTS, ["s1", "", "s2", "", "s4", "s5"], LABELS)] == [2, 0, 1]
    both = count_parts(np.concatenate([PARTS, PARTS]), GROUPS, ["x"] * 6)
    assert summary_text(both, by="sample").splitlines()[:2] == ["fold   part  samples", "   0  train        3"]
