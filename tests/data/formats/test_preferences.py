"""Pairs of answers and marked answers, from tables and JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.formats import FORMATS, PREFERENCE_FORMATS
from pathplugins.data.formats.preferences import read_preferences
from pathplugins.data.records import Turn

ASKED = "<image>\nWhich tissue is this?"


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text(json.dumps(rows))
    return path


def test_nothing_else_trains_on_them_by_mistake() -> None:
    assert PREFERENCE_FORMATS.get("preferences") is read_preferences
    assert "preferences" not in FORMATS


def test_pairs_of_a_table(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text('h5_path,question,chosen,rejected\nbags/a.h5,"Which tissue, mostly?",Tumor.,NA\n')
    [record], bad = read_preferences(path, media_dir=tmp_path / "there")
    assert bad == []
    assert record.conversations == (
        Turn("user", "<image>\nWhich tissue, mostly?"),
        Turn("assistant", "Tumor."),
    )
    assert (record.id, record.meta, record.row) == ("a", {"rejected": "NA"}, 2)
    assert record.images == (str(tmp_path / "there/bags/a.h5"),)


@pytest.mark.parametrize("wrapped", [False, True], ids=["texts", "turns"])
def test_pairs_of_json_as_llamafactory_has_them(tmp_path: Path, wrapped: bool) -> None:
    said = {"chosen": "Tumor.", "rejected": "Stroma."}
    rows = [
        {
            "conversations": [
                {"from": "human", "value": ASKED},
                {"from": "gpt", "value": "A gland."},
                {"from": "human", "value": "Sure?"},
            ],
            "images": ["a.png"],
            **({key: {"from": "gpt", "value": text} for key, text in said.items()} if wrapped else said),
        }
    ]
    [record], bad = read_preferences(write(tmp_path / "pairs.json", rows))
    assert bad == []
    assert [turn.text for turn in record.conversations] == [ASKED, "A gland.", "Sure?", "Tumor."]
    assert record.meta == {"rejected": "Stroma."}


def test_marked_answers(tmp_path: Path) -> None:
    path = tmp_path / "marked.tsv"
    path.write_text("image\tquestion\tanswer\tkto_tag\na.png\tWhich?\tTumor.\tTRUE\nb.png\tWhich?\tStroma.\t0\n")
    records, bad = read_preferences(path, ranking=False)
    assert bad == []
    assert [(record.conversations[-1].text, record.meta) for record in records] == [
        ("Tumor.", {"kto_tag": "true"}),
        ("Stroma.", {"kto_tag": "false"}),
    ]
    turns = [{"from": "human", "value": ASKED}, {"from": "gpt", "value": "Tumor."}]
    rows = [{"conversations": turns, "image": "a.png", "kto_tag": False}]
    rows += [{"question": "Which?", "answer": "Tumor.", "image": ["a.png", "b.png"], "kto_tag": True}]
    (one, two), bad = read_preferences(write(tmp_path / "marked.json", rows), ranking=False)
    assert bad == []
    assert (one.conversations[-1].text, one.meta) == ("Tumor.", {"kto_tag": "false"})
    assert two.conversations[0].text == "<image>\n<image>\nWhich?"


def test_all_bad_pairs_are_reported_at_once(tmp_path: Path) -> None:
    good = {"question": "Which?", "image": "a.h5", "chosen": "Tumor.", "rejected": "Stroma."}
    turns = [{"from": "human", "value": ASKED}, {"from": "gpt", "value": "Tumor."}]
    wrong = [
        ({"rejected": "Tumor. "}, "equal answers"),
        ({"rejected": " "}, "empty answer"),
        ({"chosen": 3}, "not text"),
        ({"chosen": "<image>"}, "misplaced placeholder"),
        ({"chosen": {"from": "human", "value": "Tumor."}}, "malformed turn"),
        ({"question": ""}, "no question"),
        ({"question": "<image> Which?"}, "misplaced placeholder"),
        ({"conversations": turns}, "turn order"),
        ({"conversations": [{"from": "human", "value": "Which?"}]}, "placeholder count"),
        ({"chosen": None, "rejected": None, "kto_tag": True}, "no pair"),
    ]
    records, bad = read_preferences(write(tmp_path / "p.json", [good, *({**good, **change} for change, _ in wrong)]))
    assert len(records) == 1
    assert [(sample.row, sample.reason) for sample in bad] == [(n, said) for n, (_, said) in enumerate(wrong, start=2)]
    assert 'remove "ranking": true' in bad[-1].detail


def test_all_bad_marks_are_reported_at_once(tmp_path: Path) -> None:
    good = {"question": "Which?", "image": "a.h5", "answer": "Tumor.", "kto_tag": True}
    turns = [{"from": "human", "value": ASKED}, {"from": "gpt", "value": " "}]
    wrong = [
        ({"kto_tag": "perhaps"}, "unreadable mark"),
        ({"kto_tag": None, "rejected": "Stroma."}, "no mark"),
        ({"answer": ""}, "empty answer"),
        ({"conversations": turns, "answer": None}, "empty answer"),
    ]
    path = write(tmp_path / "m.json", [good, *({**good, **change} for change, _ in wrong)])
    records, bad = read_preferences(path, ranking=False)
    assert len(records) == 1
    assert [(sample.row, sample.reason) for sample in bad] == [(n, said) for n, (_, said) in enumerate(wrong, start=2)]
    assert 'set "ranking": true' in bad[1].detail


@pytest.mark.parametrize(
    ("header", "ranking", "said"),
    [
        ("image,question,chosen", True, "lacks the columns rejected; .*expected chosen and rejected"),
        ("image,question,answer,kto_tag", True, 'its answers are marked: remove "ranking": true .* stage: kto'),
        ("image,question,chosen,rejected", False, 'its answers are compared: set "ranking": true .* stage: dpo'),
        ("image,chosen,rejected", True, "lacks the columns question"),
    ],
)
def test_a_table_of_another_kind_says_what_to_do(tmp_path: Path, header: str, ranking: bool, said: str) -> None:
    (tmp_path / "t.csv").write_text(f"{header}\n{','.join('x' * (header.count(',') + 1))}\n")
    with pytest.raises(PathPluginsError, match=said):
        read_preferences(tmp_path / "t.csv", ranking=ranking)
