"""LLaMA-Factory's conversations, and records as they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pathplugins.data.formats import FORMATS, READERS
from pathplugins.data.formats.record import read_record
from pathplugins.data.formats.sharegpt import read_sharegpt

ASK, SAY = {"from": "human", "value": "<image>?"}, {"from": "gpt", "value": "Yes."}


def read(tmp_path: Path, *samples: dict[str, Any]) -> tuple[list[Any], list[tuple[int | None, str]]]:
    path = tmp_path / "s.json"
    path.write_text(json.dumps(samples))
    records, bad = read_sharegpt(path)
    return records, [(sample.row, sample.reason) for sample in bad]


def test_llama_factory_keeps_its_own_format() -> None:
    assert {*READERS} - {*FORMATS} == {"sharegpt"}


def test_both_spellings(tmp_path: Path) -> None:
    openai = [{"role": "user", "content": "<image>?"}, {"role": "assistant", "content": "Yes."}]
    records, bad = read(
        tmp_path,
        {"id": "a", "conversations": [ASK, SAY], "images": ["x.jpg"]},
        {"messages": openai, "images": ["y.jpg"]},
        {"messages": [ASK, SAY], "images": "z.jpg", "system": "Be brief."},
        {"conversations": [{"from": "system", "value": "S"}, ASK, SAY], "images": ["x.jpg"], "system": "unused"},
        {"conversations": [{"from": "human", "value": "?"}, SAY], "images": [], "tools": ""},
    )
    assert not bad
    assert [record.id for record in records] == ["a", "y", "z", "x", "s"]
    assert records[0].conversations == records[1].conversations == (("user", "<image>?"), ("assistant", "Yes."))
    assert records[2].conversations[0] == ("system", "Be brief.")
    assert records[3].conversations[0] == ("system", "S")
    assert records[1].images == (str(tmp_path / "y.jpg"),)


def test_what_is_bad(tmp_path: Path) -> None:
    records, bad = read(
        tmp_path,
        {"conversations": [ASK, SAY], "images": []},
        {"conversations": [ASK, SAY], "images": ["a"], "videos": ["v.mp4"]},
        {"conversations": [ASK, {"from": "function_call", "value": "f"}], "images": ["a"]},
        {"conversations": [SAY, ASK], "images": ["a"]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]},
        {"images": ["a"]},
    )
    assert not records
    assert [reason for _, reason in bad] == [
        *("placeholder count", "unsupported content", "malformed turn", "turn order"),
        *("malformed turn", "no conversation"),
    ]


def test_records_as_they_are(tmp_path: Path) -> None:
    turns = [{"role": "user", "text": "<image> ?"}, {"role": "assistant", "text": "Ja, größer."}]
    good = {"id": "a#3", "conversations": turns, "images": ["/a.h5"], "meta": {"k": "v"}, "source": "s", "row": 9}
    lines = [good, {**good, "id": ""}, {**good, "id": "b", "meta": {"k": 1}}, {**good, "id": "c"}, {**good, "id": "c"}]
    path = tmp_path / "r.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    (record,), bad = read_record(path)
    assert (record.id, record.images, record.meta, record.source, record.row) == (
        *("a#3", ("/a.h5",), {"k": "v"}, str(path), 1),
    )
    assert record.conversations == (("user", "<image> ?"), ("assistant", "Ja, größer."))
    assert [sample.reason for sample in bad] == ["no id", "unreadable meta", "repeated id", "repeated id"]
