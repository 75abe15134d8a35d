"""Formats of other slide projects: SlideChat, SlideBench, WSI-Bench."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.formats.slidebench import read_slidebench
from pathplugins.data.formats.slidechat import read_slidechat
from pathplugins.data.formats.wsi_bench import read_wsi_bench

ASK = {"from": "human", "value": "<image>\nWhat?"}
SAY = {"from": "gpt", "value": "Tissue."}


def write(path: Path, samples: list[dict[str, Any]], *, lines: bool = False) -> Path:
    path.write_text("\n".join(map(json.dumps, samples)) if lines else json.dumps(samples))
    return path


def test_slidechat(tmp_path: Path) -> None:
    samples = [
        {"id": "q1", "image": ["BRCA/TCGA-A.B.csv"], "conversations": [ASK, SAY]},
        {"id": "q2", "image": "/abs/b.csv", "conversations": [ASK, SAY, {"from": "human", "value": "And?"}, SAY]},
        {"id": "q3", "conversations": [{"from": "human", "value": "No slide."}, SAY]},
        {"id": "q4", "image": ["a.csv", "b.csv"], "conversations": [ASK, SAY]},
    ]
    records, bad = read_slidechat(write(tmp_path / "train.json", samples))
    assert [(r.id, r.images, len(r.conversations)) for r in records] == [
        ("q1", (str(tmp_path / "BRCA/TCGA-A.B.csv"),), 2),
        ("q2", ("/abs/b.csv",), 4),
    ]
    assert [(sample.row, sample.reason) for sample in bad] == [(3, "no image"), (4, "no image")]


def test_slidebench(tmp_path: Path) -> None:
    header = ["ID", "Slide", "Tumor", "Broad Category", "Narrow Category", "Question", *"ABCD", "Answer", "Output"]
    rows = [
        ["1", "TCGA-A", "BRCA", "Micro", "Grade", "Which grade?", "one", "two", "three", "four", "B", "A"],
        ["2", "TCGA-A", "BRCA", "Micro", "Stage", "Which, if any?", "x", "y", "", "", "y", ""],
        ["3", "TCGA-A", "BRCA", "Micro", "Stage", "Which?", "x", "y", "", "", "C", ""],
        ["4", "TCGA-A", "BRCA", "Micro", "Stage", "", "x", "y", "", "", "A", ""],
        ["5", "TCGA-A", "BRCA", "Micro", "Stage", "Which?", "x", "", "", "", "A", ""],
        ["6", "TCGA-A", "BRCA", "Micro", "Stage", "<image>?", "x", "y", "", "", "A", ""],
    ]
    path = tmp_path / "SlideBench.csv"
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([header, *rows])
    records, bad = read_slidebench(path, media_dir="/features")
    assert [(r.id, r.images, r.conversations[1].text) for r in records] == [
        ("1", ("/features/BRCA/TCGA-A.csv",), "B) two"),
        ("2", ("/features/BRCA/TCGA-A.csv",), "B) y"),
    ]
    assert records[0].conversations[0].text.endswith("A) one\nB) two\nC) three\nD) four")
    assert records[0].meta["narrow_category"] == "Grade"
    assert [sample.reason for sample in bad] == [
        *("answer not among choices", "no question", "unreadable choices", "misplaced placeholder")
    ]
    path.write_text("ID,Slide\n1,a\n")
    with pytest.raises(PathPluginsError, match="lacks the columns Tumor, Question"):
        read_slidebench(path)


def test_wsi_bench(tmp_path: Path) -> None:
    train = [{"id": 5, "image": "TCGA-BRCA/a.pt", "conversations": [ASK, SAY], "metadata": "Morphology"}]
    (record,), bad = read_wsi_bench(write(tmp_path / "train.json", train))
    assert not bad
    assert (record.id, record.images, record.meta) == (
        *("5", (str(tmp_path / "TCGA-BRCA/a.pt"),)),
        {"metadata": "Morphology"},
    )
    line = {"question_id": "Stage_a-1_1", "image": "TCGA-BRCA/a.pt", "question": "Which\nstage?", "T-answer": "II"}
    lines = [
        line,
        {**line, "question_id": 2, "T-answer": None},
        {**line, "image": ["a", "b"]},
        {**line, "question": "<image>"},
    ]
    (record,), bad = read_wsi_bench(write(tmp_path / "test.jsonl", lines, lines=True))
    assert record.id == "Stage_a-1_1"
    assert record.conversations == (("user", "<image>\nWhich\nstage?"), ("assistant", "II"))
    assert [sample.reason for sample in bad] == ["no T-answer", "no image", "misplaced placeholder"]
    (tmp_path / "lfs.json").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    with pytest.raises(PathPluginsError, match="Git-LFS pointer"):
        read_wsi_bench(tmp_path / "lfs.json")
