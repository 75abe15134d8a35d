"""What is asked: labels, and any format whose images are slides."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.slide_images.samples import Asked, read_labelled, read_records


def test_labels_become_questions_and_all_bad_rows_are_found(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("slide,subtype\n007.svs,LUAD\nb.h5,LUSC\n007,LUSC\nc,\nd,a <image>\n")
    got = read_labelled(path, Asked(question="Which?", choices="none", label_column="subtype"))
    assert [(r.id, r.images, r.row) for r in got.records] == [("007", ("007.svs",), 2), ("b", ("b.h5",), 3)]
    assert [turn.text for turn in got.records[1].conversations] == ["<image>\nWhich?", "LUSC"]
    assert sorted((bad.row, bad.reason) for bad in got.bad) == [
        (4, "slide named twice"),
        (5, "no subtype"),
        (6, "placeholder in label"),
    ]


def test_choices_are_shuffled_as_in_tables(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("slide,label\n" + "".join(f"s{i}.svs,{'AB'[i % 2]}\n" for i in range(20)))
    got = read_labelled(path, Asked(seed=3)).records
    answers = [record.conversations[1].text for record in got]
    assert {*answers} == {"A) A", "B) A", "A) B", "B) B"}
    assert all(f"\n{answer}" in record.conversations[0].text for answer, record in zip(answers, got, strict=True))
    with pytest.raises(PathPluginsError, match="lacks the labels B"):
        read_labelled(path, Asked(choices="A|C"))


@pytest.mark.parametrize(("question", "message"), [(" ", "is empty"), ("<image> what", "stands for the slide")])
def test_questions_judge_themselves(question: str, message: str) -> None:
    with pytest.raises(PathPluginsError, match=message):
        Asked(question=question)


def test_any_format_about_slides_is_read(tmp_path: Path) -> None:
    turns = [{"from": "human", "value": "<image>\nWhat?"}, {"from": "gpt", "value": "This."}]
    text = [{"from": "human", "value": "What?"}, {"from": "gpt", "value": "This."}]
    rows = [{"id": "1", "image": "a/x.pt", "conversations": turns}, {"id": "2", "conversations": text}]
    (tmp_path / "in.json").write_text(json.dumps(rows))
    got = read_records(tmp_path / "in.json", "llava", {"split": None})
    assert [record.images for record in got.records] == [("a/x.pt",)]
    assert [bad.reason for bad in got.bad] == ["no slide"]
