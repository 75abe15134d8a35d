"""Pieces: several processes write what one would, or leave it to one."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from pathplugins.data.formats.llava import read_llava
from pathplugins.data_tools.records import pieces
from pathplugins.data_tools.records.pieces import NotApartError, convert_pieces, pieces_of
from pathplugins.data_tools.records.writers import WRITERS

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the processes are forked")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces of some twenty samples, on any number of cores."""
    monkeypatch.setattr(pieces, "PIECE", 4000)
    monkeypatch.setattr(pieces.os, "sched_getaffinity", lambda pid: {0, 1})


def samples(count: int) -> list[dict[str, Any]]:
    turns = [{"from": "human", "value": "Was?"}, {"from": "gpt", "value": 'Größer } , { als "0".'}]
    return [{"id": f"q{number}", "conversations": turns} for number in range(count)]


def stream(path: Path, values: list[Any], **options: Any) -> Any:
    path.write_text(json.dumps(values, ensure_ascii=False), encoding="utf-8")
    return read_llava.stream(path, **options)


def converted(found: Any) -> tuple[bytes, int]:
    target = WRITERS.get("xtuner")
    sink, out = target.sink(Path("o.jsonl")), Path("o.jsonl")
    blocks = [*convert_pieces(pieces_of(found), found, target.rows(out), sink.encode)]
    return b"".join(data for data, _ in blocks), sum(rows for _, rows in blocks)


def bare(found: Any) -> Any:
    """Without folders, as ``convert`` has it when images are not checked."""
    import dataclasses

    return dataclasses.replace(found, folders=())


def test_the_bytes_are_those_of_one_process(tmp_path: Path) -> None:
    found = bare(stream(tmp_path / "in.json", samples(203)))
    assert len(pieces_of(found)) > 3
    data, rows = converted(found)
    target = WRITERS.get("xtuner")
    make = target.rows(Path("o.jsonl"))
    assert rows == 203
    assert data == target.sink(Path("o.jsonl")).encode([make(record) for record in found])


def test_a_bad_row_is_left_to_one_process(tmp_path: Path) -> None:
    values = samples(203)
    values[150]["conversations"] = []
    with pytest.raises(NotApartError):
        converted(bare(stream(tmp_path / "in.json", values)))


def test_what_is_filtered_or_small_is_not_cut(tmp_path: Path) -> None:
    assert pieces_of(bare(stream(tmp_path / "a.json", samples(3)))) == []
    assert pieces_of(stream(tmp_path / "b.json", samples(203))) == []  # images are looked up in folders
    (tmp_path / "ids.txt").write_text("q1\n")
    assert pieces_of(bare(stream(tmp_path / "c.json", samples(203), ids=tmp_path / "ids.txt"))) == []
