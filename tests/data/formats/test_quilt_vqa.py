"""Quilt-VQA: closed questions are answered with yes or no, rows that say neither are bad."""

from __future__ import annotations

import json
from pathlib import Path

from pathplugins.data.formats.quilt_vqa import read_quilt_vqa


def test_questions_and_bad_rows(tmp_path: Path) -> None:
    closed = {"image": "a.jpg", "question": "Is there atypia?", "answer": "There is some.", "answer_type": "CLOSED"}
    rows = [
        {"id": 7, **closed, "yes_no_answer": "YES"},
        closed,
        {"image": "b.jpg", "question": "What is at the arrow?", "answer": "A gland.", "answer_type": "other"},
        {**closed, "answer_type": "maybe"},
        {**closed, "image": ["a.jpg", "b.jpg"]},
        {**closed, "answer": ""},
        {**closed, "question": "<image>?"},
    ]
    path = tmp_path / "quiltvqa_test_w_ans.json"
    path.write_text(json.dumps(rows))
    records, bad = read_quilt_vqa(path, media_dir="/frames", image_suffix=".png")
    assert [(r.id, r.images, r.conversations[1].text, r.meta) for r in records] == [
        ("7", ("/frames/a.png",), "YES", {"answer_type": "closed"}),
        ("a", ("/frames/a.png",), "There is some.", {"answer_type": "closed"}),
        ("b", ("/frames/b.png",), "A gland.", {"answer_type": "open"}),
    ]
    assert records[0].conversations[0].text == "<image>\nIs there atypia?"
    assert [sample.reason for sample in bad] == [
        *("unknown answer type", "no image", "no question", "misplaced placeholder"),
    ]
