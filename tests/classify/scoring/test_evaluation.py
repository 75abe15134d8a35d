"""A whole evaluation: three files that agree, the report last, the folder of another evaluation kept."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torchmetrics")
from pathplugins.classify.runs import load_run
from pathplugins.classify.scoring.evaluation import check_out, evaluate
from pathplugins.classify.scoring.predict import Pace
from pathplugins.core.errors import PathPluginsError
from pathplugins.data.patch_sets import read_patch_set
from tests.fixtures.drawn_runs import draw_glands, draw_tumours, make_run

SETTINGS = {"data": "PCam200", "part": "test", "split": None, "fold": None, "allow_training_data": False}


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return [*csv.DictReader(file)]


def test_classes(tmp_path: Path) -> None:
    data, out = draw_tumours(tmp_path / "PCam200"), tmp_path / "report"
    make_run(tmp_path / "run", data)
    test = read_patch_set(data).part("test")
    report = evaluate(load_run(tmp_path / "run"), test, out, SETTINGS, Pace(batch_size=5))
    assert sorted(each.name for each in out.iterdir()) == ["predictions.csv", "report.html", "report.json"]
    assert json.loads((out / "report.json").read_text(encoding="utf-8")) == report
    rows = table(out / "predictions.csv")
    assert [row["name"] for row in rows] == [*test.names]
    right = [row["label"] == row["prediction"] for row in rows]
    assert report["metrics"]["accuracy"]["value"] == pytest.approx(np.mean(right))
    assert (report["intervals"]["unit"], report["intervals"]["units"]) == ("slide", 6)
    assert report["data"]["samples"] == len(rows) == 18
    assert report["data"]["licence"]
    wrong = {row["name"]: max(float(row[f"probability of {k}"]) for k in ("normal", "tumor")) for row in rows}
    told = [row["probability"] for row in report["worst"]]
    assert told == sorted(told, reverse=True)
    assert len(told) == min(12, right.count(False))
    assert all(row["probability"] == pytest.approx(wrong[row["name"]], abs=1e-5) for row in report["worst"])
    text = (out / "report.html").read_text(encoding="utf-8")
    assert text.count("<img ") == len(told)
    assert "0 &lt;&amp;&gt;.png" in text
    assert "0 <&>.png" not in text


def test_masks_that_are_learnt(tmp_path: Path) -> None:
    data, out = draw_glands(tmp_path / "SegPANDA200"), tmp_path / "report"
    make_run(tmp_path / "run", data, steps=30)
    test = read_patch_set(data).part("test")
    report = evaluate(load_run(tmp_path / "run"), test, out, {**SETTINGS, "data": "SegPANDA200"}, Pace(batch_size=3))
    rows = table(out / "predictions.csv")
    assert report["metrics"]["dice_macro"]["value"] == pytest.approx(np.mean([float(row["dice"]) for row in rows]))
    assert report["metrics"]["pixel_accuracy"]["value"] == pytest.approx(
        np.mean([float(row["pixel accuracy"]) for row in rows]), abs=1e-6
    )
    assert report["metrics"]["pixel_accuracy"]["value"] > 0.8
    assert report["classes"][1]["pixel_accuracy"]["undefined"] == "no pixel is 'stroma'"
    assert [row["dice"] for row in report["worst"]] == sorted(row["dice"] for row in report["worst"])
    shots = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', (out / "report.html").read_text(encoding="utf-8"))
    assert len(shots) == 2 * len(report["worst"]) == 8
    assert Image.open(io.BytesIO(base64.b64decode(shots[0]))).size == (320, 320)


def test_a_used_folder_is_kept(tmp_path: Path) -> None:
    out = tmp_path / "report"
    check_out(out, SETTINGS)
    out.mkdir()
    (out / "predictions.csv").write_text("cut short", encoding="utf-8")
    check_out(out, SETTINGS)  # of an evaluation that was stopped
    (out / "report.json").write_text(json.dumps({"settings": SETTINGS}), encoding="utf-8")
    check_out(out, SETTINGS)
    with pytest.raises(
        PathPluginsError, match=r"other settings: fold was not set, is 1; part was test, is valid; name"
    ):
        check_out(out, {**SETTINGS, "part": "valid", "fold": 1})
    (out / "mine.txt").touch()
    with pytest.raises(PathPluginsError, match="not an empty directory"):
        check_out(out, SETTINGS)


def test_nothing_to_score_is_refused(tmp_path: Path) -> None:
    data = draw_tumours(tmp_path / "PCam200", cases=1, patches=1)
    make_run(tmp_path / "run", data)
    with pytest.raises(PathPluginsError, match="no picture to score"):
        evaluate(load_run(tmp_path / "run"), read_patch_set(data).take([]), tmp_path / "r", SETTINGS, Pace())
