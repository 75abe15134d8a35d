"""``pathdata split``, whole."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from pathplugins.data.splits import read_split

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    path = tmp_path / "llava.json"
    named = [(patient, slide) for patient in range(11) for slide in range(1, 4)]
    path.write_text(
        json.dumps([{"id": str(n), "image": f"TCGA-AB-{p:04}-01Z-00-DX{s}_{n}.png"} for n, (p, s) in enumerate(named)])
    )
    return path


def test_json_by_patient_in_folds(samples: Path, tmp_path: Path, pathdata: Run) -> None:
    code, text = pathdata("split", samples, "--by", "patient", "--folds", 3, "--out", tmp_path / "folds")
    assert code == 0, text
    assert "9 files" in text
    assert "fold   part  samples  patients" in text
    for fold in range(3):
        parts = [json.loads((tmp_path / "folds" / f"fold_{fold}" / f"{part}.json").read_text()) for part in PARTS]
        assert sorted((row["id"] for part in parts for row in part), key=int) == [str(n) for n in range(33)]
    files = sorted((tmp_path / "folds" / "fold_0").iterdir())
    assert pathdata("split", "--check", *files)[0] == 0
    assert pathdata("split", samples, "--by", "slide", "--out", tmp_path / "slides")[0] == 0
    code, text = pathdata("split", "--check", *sorted((tmp_path / "slides").iterdir()))
    assert code == 1
    assert "parts share patients" in text


PARTS = ("train", "valid", "test")


def test_bags_become_a_file_of_names(tmp_path: Path, pathdata: Run) -> None:
    (tmp_path / "bags").mkdir()
    for number in range(10):
        with h5py.File(tmp_path / "bags" / f"p{number // 2}_{number}.h5", "w") as file:
            file["features"], file["coords_yx"] = np.ones((1, 4), np.float16), np.zeros((1, 2), int)
    out = tmp_path / "folds.json"
    code, text = pathdata("split", tmp_path / "bags", "--out", out)
    assert code == 2
    assert "10 of 10 bags do not tell their patient" in text
    code, text = pathdata("split", tmp_path / "bags", "--group-pattern", r"^(p\d)_", "--out", out)
    assert code == 0, text
    (fold,) = read_split(out).folds
    assert sorted(name for part in fold.parts().values() for name in part) == sorted(
        path.name for path in (tmp_path / "bags").iterdir()
    )
    assert pathdata("split", "--check", out, "--group-pattern", r"^(p\d)_")[0] == 0
    assert "new file that ends in .json" in pathdata("split", tmp_path / "bags", "--out", out)[1]


def test_mistakes_are_told(samples: Path, tmp_path: Path, pathdata: Run) -> None:
    out = tmp_path / "out"
    for words, message in (
        ([samples], "--out is missing"),
        ([samples, samples, "--out", out], "2 sources given"),
        ([samples, "--check", "--out", out], "leave --out out"),
        ([samples, "--out", out, "--label-column", "labell"], "--label-column labell: there is no such column"),
        ([samples, "--out", out, "--group-pattern", "a"], "has 0 groups"),
        ([tmp_path / "none.csv", "--out", out], "no such file"),
    ):
        code, text = pathdata("split", *words)
        assert code == 2, words
        assert message in text
    samples.write_text(samples.read_text().replace("TCGA-AB-0003", "other"))
    code, text = pathdata("split", samples, "--out", out)
    assert code == 1
    assert "3 of 33 samples cannot be used: 3 x no patient" in text
    assert not out.exists()
