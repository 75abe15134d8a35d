"""``pathdata probe`` from bags to scores: what it finds, and what it refuses in one report."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
from probed_bags import write_bags

from pathplugins.data_tools.cli import main

Seen = pytest.CaptureFixture[str]


def probe(folder: Path, *words: object, out: str = "out") -> int:
    column = ("--group-column", "patient")
    return main(["probe", *map(str, (folder / "bags", folder / "labels.csv", *column, "--out", folder / out, *words))])


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("probe") / "drawn"
    write_bags(folder, 48)
    return folder


@pytest.fixture
def few(tmp_path: Path) -> Path:
    write_bags(tmp_path / "few", 18, rows=10, width=4)
    return tmp_path / "few"


def numbers(folder: Path) -> dict:
    return json.loads((folder / "metrics.json").read_text())


def test_attention_sees_what_the_mean_does_not(drawn: Path, capfd: Seen) -> None:
    assert probe(drawn, "--folds", 3) == 0
    told = capfd.readouterr()
    attention = numbers(drawn / "out")
    assert probe(drawn, "--folds", 3, "--method", "mean", "--no-control", out="mean") == 0
    mean = numbers(drawn / "mean")
    assert attention["pooled"]["auroc"]["value"] >= 0.9
    assert mean["pooled"]["auroc"]["value"] < attention["pooled"]["auroc"]["low"]
    assert attention["permuted"]["pooled"]["auroc"]["value"] == pytest.approx(0.5, abs=0.25)
    assert "permuted" not in mean
    lines = told.out.splitlines()
    assert lines[0].startswith("abmil: benign 32, tumour 32; intervals: 95 %, 1,000 resamples of 48 patients")
    assert lines[-1].startswith("labels permuted")
    assert "fold_2.json: done" in told.err
    with (drawn / "out" / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    folds = {row["group"]: {other["fold"] for other in rows if other["group"] == row["group"]} for row in rows}
    assert len(rows) == 64
    assert all(len(found) == 1 for found in folds.values())


def test_the_same_command_again_only_reads_what_is_done(few: Path, capfd: Seen) -> None:
    words = ("--folds", 3, "--method", "acmil", "--epochs", 1)
    assert probe(few, *words) == 0
    table, before = capfd.readouterr().out, (few / "out" / "metrics.json").read_bytes()
    (few / "out" / "folds" / "labels" / "fold_1.json").unlink()
    (few / "out" / "metrics.json").unlink()
    assert probe(few, *words) == 0
    told = capfd.readouterr()
    assert told.out == table
    assert told.err.count(": done") == 1
    assert (few / "out" / "metrics.json").read_bytes() == before
    assert probe(few, *words, "--seed", 1) == 2
    assert "seed was 0, is 1" in capfd.readouterr().err
    text = (few / "labels.csv").read_text()
    (few / "labels.csv").write_text(text.replace("s00_0,p0,benign", "s00_0,p0,tumour"))
    assert probe(few, *words) == 2
    assert "labels and bags was" in capfd.readouterr().err


def test_everything_that_is_wrong_is_one_report(few: Path, capfd: Seen) -> None:
    with (few / "labels.csv").open("a") as file:
        file.write("nowhere,p1,benign\n,p1,benign\ns03_0,p3,benign\n")
    text = (few / "labels.csv").read_text()
    (few / "labels.csv").write_text(text.replace("s04_0,p4,benign\n", "").replace("s06_0,p6,", "s06_0,,"))
    with h5py.File(few / "bags" / "s08_0.h5", "a") as file:
        file["features"][2, 1] = np.nan
    assert probe(few) == 1
    told = capfd.readouterr()
    for words in (
        *("1 rows without slide or label", "1 slides with several labels", "1 labels without a bag:"),
        *("1 bags without a label", "NaN or infinity", "1 slides without a patient"),
        "nothing was trained; correct these, or pass --on-missing skip",
    ):
        assert words in told.err
    assert not (few / "out").exists()
    assert probe(few, "--folds", 2, "--method", "mean", "--no-control", "--on-missing", "skip") == 0
    assert "6 faults left out" in capfd.readouterr().err


def test_bags_of_several_encoders_few_patients_and_one_class_are_refused(few: Path, capfd: Seen) -> None:
    with h5py.File(few / "bags" / "s05_0.h5", "a") as file:
        file.attrs["encoder"] = "virchow2"
    with h5py.File(few / "bags" / "s07_0.h5", "w") as file:
        file["features"] = np.ones((3, 9))
    (few / "labels.csv").write_text((few / "labels.csv").read_text().replace("benign", "tumour"))
    assert probe(few, "--folds", 40, "--valid", 0.1, "--on-missing", "skip") == 1
    told = capfd.readouterr().err
    for words in (
        *("several widths", "1 bag of 9 features", "several encoders", "1 bag of virchow2"),
        *("all 24 slides are 'tumour'", "18 patients cannot fill 40 folds"),
    ):
        assert words in told
    assert "pass --on-missing" not in told


def test_patients_come_from_barcodes_too(few: Path, capfd: Seen) -> None:
    lines = (few / "labels.csv").read_text().splitlines()
    renamed = [lines[0]]
    for line in lines[1:]:
        slide, _, label = line.split(",")
        name = f"TCGA-AB-00{slide[1:3]}-01Z-00-DX{slide[-1]}"
        shutil.move(few / "bags" / f"{slide}.h5", few / "bags" / f"{name}.h5")
        renamed.append(f"{name}.svs,,{label}")
    (few / "labels.csv").write_text("\n".join(renamed))
    words = (few / "bags", few / "labels.csv", "--out", few / "out", "--method", "mean", "--folds", 3)
    assert main(["probe", *map(str, words)]) == 0
    assert "resamples of 18 patients" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--folds", 1), "--folds is 1; a probe is tested on other slides"),
        (("--valid", 0), "never by those it is tested on"),
        (("--folds", 2, "--valid", 0.5), "leave nothing to train on"),
        (("--rows", 0), "--rows is 0"),
        (("--device", "cuda:99"), "--device cuda:99"),
    ],
)
def test_options_that_cannot_be_are_refused_first(few: Path, capfd: Seen, words: tuple, said: str) -> None:
    assert probe(few, *words) == 2
    assert said in capfd.readouterr().err
