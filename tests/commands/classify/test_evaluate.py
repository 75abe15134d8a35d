"""``pathplugins classify evaluate``: parts and splits, refusals before anything is predicted, the same twice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("torchmetrics")
from pathplugins import cli
from pathplugins.data.patch_sets import read_patch_set
from pathplugins.data.splits import Fold, Split, write_split
from tests.fixtures.drawn_runs import draw_tumours, make_run


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = tmp_path_factory.mktemp("work")
    make_run(work / "run", draw_tumours(work / "PCam200", cases=2, patches=2))
    return work


def called(*words: object) -> int:
    return cli.main(["classify", "evaluate", *map(str, words)])


def report(folder: Path) -> dict:
    return json.loads((folder / "report.json").read_text(encoding="utf-8"))


def test_a_part_is_scored_the_same_by_folder_and_by_name(
    work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = {"folder": ["--data", work / "PCam200" / "test"], "name": ["--data", work / "PCam200", "--part", "test"]}
    for name, words in asked.items():
        assert called(work / "run", *words, "--out", tmp_path / name, "--workers", 0, "--device", "cpu") == 0
    printed = capsys.readouterr().out
    assert "Balanced accuracy  0." in printed
    assert printed.rstrip().endswith("name/report.html")
    first, second = report(tmp_path / "folder"), report(tmp_path / "name")
    assert first["metrics"] == second["metrics"]
    assert first["data"]["samples"] == 8
    before = (tmp_path / "name" / "report.html").read_bytes()
    assert called(work / "run", *asked["name"], "--out", tmp_path / "name", "--workers", 0, "--batch-size", 3) == 0
    assert report(tmp_path / "name")["metrics"]["accuracy"] == second["metrics"]["accuracy"]
    assert before[:500] == (tmp_path / "name" / "report.html").read_bytes()[:500]
    assert called(work / "run", "--data", work / "PCam200", "--part", "valid", "--out", tmp_path / "name") == 2
    assert "other settings: part was test, is valid" in capsys.readouterr().err


def test_a_split_names_the_samples(work: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = read_patch_set(work / "PCam200")
    names = {part: [*whole.part(part).names] for part in ("train", "valid", "test")}
    swapped = Fold(number=1, train=names["train"], valid=names["test"], test=names["valid"][1:] + names["valid"][:1])
    split = Split(by="slide", seed=0, source="PCam200", folds=(Fold(number=0, **names), swapped))
    write_split(tmp_path / "folds.json", split)
    words = [work / "run", "--data", work / "PCam200", "--split", tmp_path / "folds.json", "--workers", 0]
    assert called(*words, "--fold", 1, "--out", tmp_path / "out") == 0
    found = report(tmp_path / "out")
    assert (found["settings"]["part"], found["settings"]["fold"]) == ("test", 1)
    lines = (tmp_path / "out" / "predictions.csv").read_text(encoding="utf-8").splitlines()[1:]
    assert all(line.startswith("val/") for line in lines)
    assert called(*words, "--part", "train", "--out", tmp_path / "no") == 2
    assert "was trained on 8 pictures" in capsys.readouterr().err
    assert called(*words, "--part", "train", "--out", tmp_path / "known", "--allow-training-data") == 0
    assert report(tmp_path / "known")["data"]["trained_on"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--fold", 1], "--fold 1 is of no split"),
        (["--batch-size", 0], "--batch-size is 0, expected 1 or more"),
        (["--workers", -1], "--workers is -1, expected 0 or more"),
        (["--part", "train"], "was trained on 8 pictures"),
        (["--split", "nowhere.json"], "nowhere.json: no such file"),
        (["--device", "cuda:9", "--part", "test"], "--device cuda:9: this machine shows PyTorch"),
    ],
    ids=str,
)
def test_refusals(
    work: Path, tmp_path: Path, words: list[object], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert called(work / "run", "--data", work / "PCam200", "--out", tmp_path / "out", *words) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
