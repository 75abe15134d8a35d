"""``pathdata patchtcga split``, whole."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
from patch_folders import write_ptcga200

from pathplugins.data.splits import read_split

Run = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def organs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three organs, five slides each, two patches a slide."""
    folder = tmp_path_factory.mktemp("sets") / "PTCGA200"
    return write_ptcga200(folder, ("brain", "colon", "lung"), slides=5, patches=2, size=(7, 5))


def test_folds_by_slide(organs: Path, tmp_path: Path, pathdata: Run) -> None:
    out = tmp_path / "folds.json"
    words = ("patchtcga", "split", organs, "--folds", 3, "--by", "slide", "--out", out)
    code, text = pathdata(*words)
    assert code == 0, text
    assert "3 folds of 30 pictures" in text
    assert "fold   part  samples  slides  bowel  brain  lung" in text
    split = read_split(out)
    assert (len(split.folds), split.by, split.seed) == (3, "slide", 0)
    assert pathdata("split", "--check", out, "--by", "slide")[0] == 0
    assert "exists" in pathdata(*words)[1]
    again = tmp_path / "again.json"
    assert pathdata(*words[:-1], again)[0] == 0
    assert again.read_bytes() == out.read_bytes()


def test_the_published_folds_by_name(organs: Path, tmp_path: Path, pathdata: Run) -> None:
    names = sorted(path.name for path in organs.rglob("*.jpg"))
    parts = {"train": names[:-5], "val": names[-5:-3], "test": names[-3:]}
    folds = {"0": {part: {"idx": [0], "imgs": inside} for part, inside in parts.items()}}
    published = tmp_path / "3fold_dict_idx_filenames.pickle"
    published.write_bytes(pickle.dumps(folds))
    words = ("patchtcga", "split", organs, "--published", published, "--out", tmp_path / "folds.json")
    code, text = pathdata(*words, "--strict")
    assert code == 1
    assert "valid and test share 1: TCGA-02-0003-01Z-00-DX1" in text
    assert not (tmp_path / "folds.json").exists()
    code, text = pathdata(*words)
    assert code == 0, text
    assert "warning: parts share slides" in text
    (fold,) = read_split(tmp_path / "folds.json").folds
    assert [name.rpartition("/")[2] for name in fold.valid] == parts["val"]


def test_mistakes_are_told(organs: Path, tmp_path: Path, pathdata: Run) -> None:
    for words, message in (
        ([organs, "--out", tmp_path / "folds"], "ends in .json"),
        ([tmp_path / "nowhere", "--out", tmp_path / "f.json"], "no such folder"),
        ([organs, "--folds", 9, "--by", "slide", "--out", tmp_path / "f.json"], "classes have too few slides"),
        ([organs, "--published", tmp_path / "none.pickle", "--out", tmp_path / "f.json"], "no such file"),
    ):
        code, text = pathdata("patchtcga", "split", *words)
        assert code == 2, words
        assert message in text
    assert not list(tmp_path.iterdir())
