"""SlideChat's training file: one feature file a conversation."""

from __future__ import annotations

import json
from pathlib import Path

from pathplugins.data.formats.slidechat import read_slidechat

ASK = {"from": "human", "value": "<image>\nWhat?"}
SAY = {"from": "gpt", "value": "Tissue."}


def test_conversations_about_one_slide(tmp_path: Path) -> None:
    samples = [
        {"id": "q1", "image": ["BRCA/TCGA-A.B.csv"], "conversations": [ASK, SAY]},
        {"id": "q2", "image": "/abs/b.csv", "conversations": [ASK, SAY, {"from": "human", "value": "And?"}, SAY]},
        {"id": "q3", "conversations": [{"from": "human", "value": "No slide."}, SAY]},
        {"id": "q4", "image": ["a.csv", "b.csv"], "conversations": [ASK, SAY]},
        {"id": "q5", "image": ["a.csv.gz"], "conversations": [ASK, SAY]},
    ]
    (tmp_path / "train.json").write_text(json.dumps(samples))
    records, bad = read_slidechat(tmp_path / "train.json")
    assert [(r.id, r.images, len(r.conversations)) for r in records] == [
        ("q1", (str(tmp_path / "BRCA/TCGA-A.B.csv"),), 2),
        ("q2", ("/abs/b.csv",), 4),
    ]
    assert [(sample.row, sample.reason) for sample in bad] == [
        *((3, "no image"), (4, "no image"), (5, "unknown suffix")),
    ]
    assert "a.csv.gz ends in none of .csv, .h5, .hdf5" in bad[2].detail
