"""LLaVA conversations (features A8, A26)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pathplugins.data.formats.llava import read_llava

ASK = {"from": "human", "value": "What?\n<image>"}
SAY = {"from": "gpt", "value": "Tissue."}


def read(tmp_path: Path, *samples: dict[str, Any]) -> tuple[list[Any], list[tuple[int | None, str]]]:
    path = tmp_path / "s.json"
    path.write_text(json.dumps([{"image": "a.jpg", "conversations": [ASK, SAY], **sample} for sample in samples]))
    records, bad = read_llava(path)
    assert all(sample.source == str(path) for sample in bad)
    return records, [(sample.row, sample.reason) for sample in bad]


def test_a_conversation(tmp_path: Path) -> None:
    (record,), bad = read(tmp_path, {"id": 7})
    assert not bad
    assert record.id == "7"
    assert record.images == (str(tmp_path / "a.jpg"),)
    assert record.conversations == (("user", "What?\n<image>"), ("assistant", "Tissue."))  # A8: where it stands
    assert (record.source, record.row) == (str(tmp_path / "s.json"), 1)


def test_images_absent_one_or_several(tmp_path: Path) -> None:
    text = {"from": "user", "value": "No picture."}
    both = {"from": "Human", "value": "<image><image> Both?"}
    records, bad = read(
        tmp_path,
        {"image": None, "conversations": [text, SAY]},
        {"image": "", "conversations": [text, SAY]},
        {"image": [], "conversations": [text, SAY]},
        {"image": ["x/b.c.png", "bag.h5"], "conversations": [both, SAY]},
        {"image": "/abs/d.tif"},
    )
    assert not bad
    assert [record.images for record in records] == [
        *((), (), ()),
        (str(tmp_path / "x/b.c.png"), str(tmp_path / "bag.h5")),
        ("/abs/d.tif",),
    ]
    assert [record.id for record in records] == ["s#1", "s#2", "s#3", "b.c", "d"]


def test_system_and_leading_answers(tmp_path: Path) -> None:
    system = {"from": "system", "value": "Be brief."}
    records, bad = read(
        tmp_path,
        {"conversations": [SAY, SAY, ASK, SAY, {"from": "human", "value": "And?"}, SAY]},
        {"conversations": [system, SAY, ASK, SAY]},
    )
    assert not bad
    assert [[turn.role for turn in record.conversations] for record in records] == [
        ["user", "assistant", "user", "assistant"],
        ["system", "user", "assistant"],
    ]


def test_all_bad_rows_at_once(tmp_path: Path) -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"conversations": [{"from": "human", "value": "no mark"}, SAY]}, "placeholder count"),
        ({"image": ["a.jpg", "b.jpg"]}, "placeholder count"),
        ({"image": None}, "placeholder count"),
        ({"conversations": [ASK]}, "turn order"),
        ({"conversations": [SAY]}, "turn order"),
        ({"conversations": [ASK, {"from": "gpt", "value": " "}]}, "empty answer"),
        ({"conversations": [ASK, {"from": "gpt", "value": "<image>"}]}, "misplaced placeholder"),
        ({"conversations": []}, "no conversation"),
        ({"conversations": None}, "no conversation"),
        ({"conversations": ["text"]}, "malformed turn"),
        ({"conversations": [{"from": "tool", "value": "x"}]}, "malformed turn"),
        ({"conversations": [{"from": "human", "value": 3}]}, "malformed turn"),
        ({"conversations": [{"role": "user", "content": "x"}]}, "malformed turn"),
        ({"image": 3}, "no image"),
        ({"image": ["a.jpg", " "]}, "no image"),
        ({"id": ["x"]}, "not text"),
        ({"conversations": [ASK, {"from": "gpt", "value": "half \ud83d"}]}, "unreadable text"),
    ]
    records, bad = read(tmp_path, *(sample for sample, _ in cases), {})
    assert bad == [(row, reason) for row, (_, reason) in enumerate(cases, start=1)]
    assert [record.row for record in records] == [len(cases) + 1]


def test_ids_and_media_dir(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for name in ("p", "q"):
        sample = {"image": f"{name}.jpg", "conversations": [ASK, SAY]}
        (tmp_path / "folder" / f"{name}.jsonl").write_text(json.dumps(sample))
    (tmp_path / "keep.txt").write_text("q.jpg\n")
    (record,), bad = read_llava(tmp_path / "folder", media_dir=tmp_path / "media", ids=tmp_path / "keep.txt")
    assert not bad
    assert (record.id, record.images) == ("q", (str(tmp_path / "media/q.jpg"),))


@pytest.mark.parametrize("value", ["x", 3])
def test_a_dict_of_samples(tmp_path: Path, value: object) -> None:
    path = tmp_path / "s.json"
    path.write_text(json.dumps({"k": {"image": "a.jpg", "conversations": [ASK, SAY], "extra": value}}))
    assert read_llava(path)[0][0].id == "k"


def test_keys_and_speakers_under_other_names(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    turns = [{"who": "Doctor", "says": "<image>?"}, {"who": "model", "says": "Tissue."}]
    path.write_text(json.dumps([{"id": 1, "picture": "a.png", "dialog": turns}, {"id": 2, "picture": "b.png"}]))
    tags = {"role_tag": "who", "content_tag": "says", "user_tag": "Doctor", "assistant_tag": "model"}
    columns = {"messages": "dialog", "images": "picture"}
    (record,), (bad,) = read_llava(path, columns=columns, tags=tags)
    assert record.conversations == (("user", "<image>?"), ("assistant", "Tissue."))
    assert record.images == (str(tmp_path / "a.png"),)
    assert bad.detail == "dialog is None; expected a list of who and says"
    assert {sample.reason for sample in read_llava(path)[1]} == {"misread key"}
