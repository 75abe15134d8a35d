"""Records as JSON lines: what is written is read back; what is no record is a bad row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pathplugins.data.formats.record import read_record
from pathplugins.data_tools.records.writers.record import record_row

ROW: dict[str, Any] = {
    "id": "a#3",
    "conversations": [{"role": "user", "text": "<image>\nWas?"}, {"role": "assistant", "text": "Größe"}],
    "images": ["/abs/a.png"],
    "meta": {"kind": "x"},
    "source": "elsewhere.csv",
    "row": 7,
}


def read(tmp_path: Path, *rows: object) -> tuple[list, list]:
    (tmp_path / "r.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return read_record(tmp_path / "r.jsonl")


def test_all_fields_come_back(tmp_path: Path) -> None:
    (record,), bad = read(tmp_path, ROW)
    assert not bad
    assert {**record_row(record), "source": ROW["source"], "row": ROW["row"]} == ROW
    assert (record.source, record.row) == (str(tmp_path / "r.jsonl"), 1)


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ({"id": ""}, "no id"),
        ({"meta": {"n": 3}}, "unreadable meta"),
        ({"meta": []}, None),
        ({"conversations": [{"role": "user"}]}, "malformed turn"),
        ({"images": 3}, "no image"),
    ],
)
def test_bad_rows(tmp_path: Path, cells: dict[str, object], reason: str | None) -> None:
    _, bad = read(tmp_path, {**ROW, **cells})
    assert [sample.reason for sample in bad] == ([reason] if reason else [])


def test_a_repeated_id_is_bad_and_not_renamed(tmp_path: Path) -> None:
    records, bad = read(tmp_path, ROW, {**ROW, "id": "b"}, ROW)
    assert [record.id for record in records] == ["b"]
    assert [(sample.row, sample.reason) for sample in bad] == [(1, "repeated id"), (3, "repeated id")]
