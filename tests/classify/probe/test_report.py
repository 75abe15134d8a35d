"""The files and the table of a probe, read back."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from pathplugins.classify.probe.report import NUMBERS, PREDICTIONS, report_of, table_text, write_report
from pathplugins.classify.probe.study import Study
from pathplugins.data.splits.make import TEST, TRAIN


def study() -> Study:
    parts = np.full((2, 6), TRAIN, np.int8)
    parts[0, :3], parts[1, 3:] = TEST, TEST
    return Study(
        slides=list("abcdef"),
        bags=[Path(name) for name in "abcdef"],
        groups=["1", "1", "2", "3", "3", "4"],
        classes=["luad", "lusc"],
        labels=np.array([0, 1, 0, 1, 1, 1]),
        parts=parts,
    )


def folds() -> list[dict]:
    return [
        {"slides": list("abc"), "probabilities": [[0.9, 0.1], [0.2, 0.8], [0.4, 0.6]], "chosen": {"epoch": 3}},
        {"slides": list("def"), "probabilities": [[0.3, 0.7], [0.8, 0.2], [0.1, 0.9]], "chosen": {"epoch": 1}},
    ]


def test_numbers_and_predictions_are_written(tmp_path: Path) -> None:
    report = report_of(study(), folds(), {"method": "abmil"}, by="patient")
    write_report(tmp_path, study(), folds(), report)
    read = json.loads((tmp_path / NUMBERS).read_text())
    assert read["pooled"]["accuracy"]["value"] == pytest.approx(4 / 6)
    assert read["pooled"]["auroc"]["value"] == pytest.approx(7 / 8)  # of eight pairs one is the wrong way round
    assert (read["slides"], read["patients"], read["classes"]) == (6, 4, {"luad": 2, "lusc": 4})
    assert [(fold["epoch"], fold["slides"], fold["patients"]) for fold in read["folds"]] == [(3, 3, 2), (1, 3, 2)]
    assert read["folds"][1]["metrics"]["auroc"]["value"] is None
    assert read["mean_of_folds"]["auroc"] == 1.0
    with (tmp_path / PREDICTIONS).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["prediction"] for row in rows] == ["luad", "lusc", "lusc", "lusc", "luad", "lusc"]
    assert rows[4] == {
        **{"slide": "e", "group": "3", "fold": "1", "label": "lusc", "prediction": "luad"},
        **{"probability of luad": "0.8", "probability of lusc": "0.2"},
    }


def test_the_table_has_a_line_for_each_fold_and_one_for_chance() -> None:
    report = report_of(study(), folds(), {"method": "abmil"}, by="patient")
    lines = table_text(report).splitlines()
    assert lines[0] == "abmil: luad 2, lusc 4; intervals: 95 %, 1,000 resamples of 4 patients"
    assert [line.split("  ")[0] for line in lines[2:]] == ["fold 0", "fold 1", "mean of folds", "all slides"]
    assert lines[3].split()[3] == "-"
    assert "0.875" in lines[5]
    report["permuted"] = report
    assert table_text(report).splitlines()[-1].startswith("labels permuted")
