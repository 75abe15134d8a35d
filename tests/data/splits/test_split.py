from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.barcodes import patient_of
from pathplugins.data.splits import Fold, Split


@dataclass
class Pictures:
    names: list[str]

    def take(self, indices: np.ndarray) -> Pictures:
        assert indices.dtype == np.int64
        return Pictures([self.names[index] for index in indices])


FOLD = Fold(number=0, train=("a/1.png", "b/2.png"), valid=("a/3.png",), test=("b/4.png",), source="folds.json")


def applied(fold: Fold, names: list[str], **options: str) -> dict[str, list[str]]:
    return {part: inside.names for part, inside in fold.apply(Pictures(names), **options).items()}


def test_a_fold_divides_by_name_whatever_the_order() -> None:
    names = ["b/4.png", "b/2.png", "a/3.png", "a/1.png"]
    assert applied(FOLD, names) == {"train": ["b/2.png", "a/1.png"], "valid": ["a/3.png"], "test": ["b/4.png"]}


def test_names_of_one_side_are_reported_with_counts_and_left_out_when_allowed() -> None:
    names = ["a/1.png", "b/4.png", "c/9.png"]
    with pytest.raises(PathPluginsError, match=r"2 of its 4 names are not in the set \(a/3.png, b/2.png\).*1 of .*c/9"):
        applied(FOLD, names)
    assert applied(FOLD, names, on_missing="skip") == {"train": ["a/1.png"], "valid": [], "test": ["b/4.png"]}
    with pytest.raises(PathPluginsError, match="no name of this set"):
        applied(FOLD, ["x.png"], on_missing="skip")


def test_base_names_match_in_any_folder_and_must_be_unique() -> None:
    fold = Fold(number=1, train=("1.png",), valid=("2.png",), test=(), base_names=True)
    assert applied(fold, ["a/2.png", "b/1.png"]) == {"train": ["b/1.png"], "valid": ["a/2.png"], "test": []}
    with pytest.raises(PathPluginsError, match=r"several called so: 1, 1.png"):
        applied(fold, ["a/1.png", "b/1.png", "a/2.png"])


def test_a_name_in_two_parts_is_refused() -> None:
    fold = Fold(number=0, train=("1.png",), valid=(), test=("1.png",))
    with pytest.raises(PathPluginsError, match=r"more than once: 1, 1.png"):
        applied(fold, ["1.png"])


def test_a_split_knows_its_folds_and_leaks() -> None:
    one, other = "TCGA-AB-0001-01Z-00-DX1_1.png", "TCGA-AB-0001-01Z-00-DX2_1.png"
    fold = Fold(number=0, train=(one,), valid=("TCGA-AB-0002-01Z-00-DX1_1.png",), test=(other,))
    split = Split(by="slide", seed=1, source="set", folds=(fold,))
    assert split.fold(0) is fold
    with pytest.raises(PathPluginsError, match="no fold 1"):
        split.fold(1)
    (leak,) = split.leaks(patient_of)
    assert (leak.fold, leak.parts, leak.groups) == (0, ("train", "test"), ("TCGA-AB-0001",))
