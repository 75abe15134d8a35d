from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.splits import read_split


def fold(train: list[str], val: list[str], test: list[str]) -> dict:
    """Places that are wrong on purpose: they must not be used."""
    return {
        part: {"idx": [99] * len(names), "imgs": names}
        for part, names in (("train", train), ("val", val), ("test", test))
    }


def written(folder: Path, value: object) -> Path:
    path = folder / "3fold_dict_idx_filenames.pickle"
    path.write_bytes(pickle.dumps(value))
    return path


def test_all_folds_are_read_by_file_name(tmp_path: Path) -> None:
    path = written(tmp_path, {"1": fold(["b.jpg"], ["a.jpg"], []), "0": fold(["a.jpg"], [], ["organ/b.jpg"])})
    split = read_split(path)
    assert [list(map(list, one.parts().values())) for one in split.folds] == [
        [["a.jpg"], [], ["b.jpg"]],
        [["b.jpg"], ["a.jpg"], []],
    ]
    assert all(one.base_names for one in split.folds)
    assert (split.by, split.seed) == ("slide", None)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], r"holds \[\]"),
        ({"a": {}}, r"has the keys \['a'\]"),
        ({"0": {"train": {"idx": [1]}}}, "fold 0 has no list of file names under 'train'"),
        ({"0": {"train": {"imgs": ["a.jpg"]}}}, "under 'val'"),
    ],
)
def test_another_pickle_is_refused(value: object, message: str, tmp_path: Path) -> None:
    with pytest.raises(PathPluginsError, match=message.replace("'val'", "'val")):
        read_split(written(tmp_path, value))


def test_a_pickle_that_imports_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PathPluginsError, match="could run"):
        read_split(written(tmp_path, {"0": np.zeros(1)}))
