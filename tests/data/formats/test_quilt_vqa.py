"""Quilt-VQA: closed questions are answered with yes or no, rows that say neither are bad."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pathplugins.core.errors import PathPluginsError
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


CLOSED = {"question": "Is it?", "answer": "It is.", "answer_type": "CLOSED", "yes_no_answer": "yes"}
ANSWERS = [
    {"id": 0, "image": "a.jpg", **CLOSED},
    {"id": 1, "image": "b.jpg", "question": "What?", "answer": "A gland.", "answer_type": "OPEN"},
]


def write(folder: Path, answers: list[dict], questions: list[dict]) -> tuple[Path, Path]:
    told, asked = folder / "quiltvqa_test_w_ans.json", folder / "quiltvqa_test_wo_ans.jsonl"
    told.write_text(json.dumps(answers))
    asked.write_text("".join(f"{json.dumps(row)}\n" for row in questions))
    return told, asked


def question(name: int | str, image: str, text: str) -> dict:
    return {"question_id": name, "image": image, "text": text, "category": "conv", "answer_type": "OPEN"}


def test_the_questions_as_they_are_asked(tmp_path: Path) -> None:
    told, asked = write(tmp_path, ANSWERS, [question("0", "a.jpg", "Is it, now?"), question(1, "c.jpg", "What?")])
    records, bad = read_quilt_vqa(told, questions=asked)
    assert read_quilt_vqa(told, questions=asked.name) == (records, bad), "beside the answers"
    assert [(r.id, r.conversations[0].text, r.conversations[1].text) for r in records] == [
        ("0", "<image>\nIs it, now?", "yes")
    ]
    assert [(sample.row, sample.reason) for sample in bad] == [(2, "no image")], "the files name two images"


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ([1, 0], "sample 1 is '0' in the one and '1' in the other"),
        ([0], "sample 2 is '1' in the one and missing in the other"),
        ([0, 1, 2], "sample 3 is missing in the one and '2' in the other"),
    ],
)
def test_files_that_do_not_belong_together(tmp_path: Path, names: list[int], said: str) -> None:
    told, asked = write(tmp_path, ANSWERS, [question(name, "a.jpg", "Is it?") for name in names])
    with pytest.raises(PathPluginsError, match=rf"wo_ans\.jsonl do not belong together: {said}; give two files"):
        read_quilt_vqa(told, questions=asked)


def test_rows_without_ids_cannot_be_paired(tmp_path: Path) -> None:
    told, asked = write(tmp_path, [{"image": "a.jpg"}], [{"image": "a.jpg", "text": "?"}])
    with pytest.raises(PathPluginsError, match="sample 1 is without an id in the one"):
        read_quilt_vqa(told, questions=asked)


def test_questions_alone_are_called_that(tmp_path: Path) -> None:
    _, asked = write(tmp_path, ANSWERS, [question(0, "a.jpg", "Is it?")])
    records, (sample,) = read_quilt_vqa(asked)
    assert not records
    assert (
        "these are questions alone: give the file with answers, and this one by the option questions" in sample.detail
    )
