from __future__ import annotations

import json
from pathlib import Path

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.splits import Fold, Split, read_split, write_split


def test_what_is_written_is_read(tmp_path: Path) -> None:
    folds = (
        Fold(number=0, train=("a/ü.png",), valid=(), test=("b.png",)),
        Fold(number=1, train=("b.png",), valid=("a/ü.png",), test=()),
    )
    path = tmp_path / "new" / "folds.json"
    write_split(path, Split(by="patient", seed=7, source="set", folds=folds))
    held = json.loads(path.read_text(encoding="utf-8"))
    assert held["format"] == "pathplugins split 1"
    assert held["folds"][0] == {"train": ["a/ü.png"], "valid": [], "test": ["b.png"]}
    split = read_split(path)
    assert (split.by, split.seed, split.source) == ("patient", 7, str(path))
    assert [fold.parts() for fold in split.folds] == [fold.parts() for fold in folds]


GOOD = {"format": "pathplugins split 1", "by": "slide", "seed": 0, "folds": [{"train": [], "valid": [], "test": []}]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "x"}, "is no split: format is 'x'"),
        ({"by": "organ"}, "by is 'organ'"),
        ({"folds": []}, r"folds is \[\]"),
        ({"folds": [{"train": [1], "valid": [], "test": []}]}, r"fold 0: train is \[1\]"),
        ({"folds": [{"train": []}]}, "fold 0: valid is None"),
    ],
)
def test_a_file_that_is_no_split_says_what_it_holds(change: dict, message: str, tmp_path: Path) -> None:
    path = tmp_path / "folds.json"
    path.write_text(json.dumps(GOOD | change))
    with pytest.raises(PathPluginsError, match=message):
        read_split(path)


def test_a_split_of_unknown_seed_is_read(tmp_path: Path) -> None:
    (tmp_path / "folds.json").write_text(json.dumps({key: value for key, value in GOOD.items() if key != "seed"}))
    assert read_split(tmp_path / "folds.json").seed is None


def test_a_missing_or_broken_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(PathPluginsError, match="no such file"):
        read_split(tmp_path / "none.json")
    for broken in ('{"format": ', '{"folds": ' * 5000):
        (tmp_path / "half.json").write_text(broken)
        with pytest.raises(PathPluginsError, match=r"half\.json is not JSON"):
            read_split(tmp_path / "half.json")
