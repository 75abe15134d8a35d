from __future__ import annotations

import numpy as np
import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.splits.leaks import Leak
from pathplugins.data_tools.splits.report import counts_text, shared_text

PARTS = np.array([[0, 0, 2]], np.int8)


def test_classes_that_parts_lack_are_refused_or_told() -> None:
    text = counts_text(PARTS, ["s1", "s2", "s3"], ["a", "b", "a"], by="slide", on_rare="allow")
    assert text.splitlines()[-2:] == [" test        1       1  1  0", "warning: fold 0: test has no sample of b"]
    with pytest.raises(PathPluginsError, match=r"too few slides(.|\n)*test has no sample of b(.|\n)*--on-rare allow"):
        counts_text(PARTS, ["s1", "s2", "s3"], ["a", "b", "a"], by="slide", on_rare="error")


def test_shared_units_are_a_warning_that_says_how_to_keep_them_apart() -> None:
    assert shared_text([], "patient") == ""
    text = shared_text([Leak(1, ("train", "test"), ("p1",))], "patient")
    assert "pass --by patient\n  fold 1: train and test share 1: p1" in text
