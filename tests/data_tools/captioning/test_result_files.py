"""Result files of captioning: three files, whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pathplugins.data_tools.captioning.result_files import Captioned, Missed, ResultFiles
from pathplugins.data_tools.captioning.rows import PatchRow


def row(folder: Path, number: int, **cells: object) -> PatchRow:
    image = f"W/{number}.jpg"
    return PatchRow(source="m.jsonl", number=number, cells={"image": image, **cells}, image=folder / "in" / image)


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_each_outcome_goes_to_its_file(tmp_path: Path) -> None:
    out = tmp_path / "out" / "c.jsonl"
    first = row(tmp_path, 1, conversations=[1], x=3, models={"old": "a"})
    with ResultFiles(out) as files:
        files.put(Captioned(row=first, captions={"old": "O", "new": "Größe"}, models={"new": "vlm"}))
        for refused in (True, False):
            missed = Missed(row=row(tmp_path, 2), captions={}, stage="s", refused=refused, reason="why", text="No.")
            files.put(missed)
        assert not out.exists()
    assert lines(out) == [
        {
            **{"image": "../in/W/1.jpg", "x": 3, "models": {"old": "a", "new": "vlm"}},
            **{"caption": "Größe", "captions": {"old": "O", "new": "Größe"}, "model": "vlm"},
        }
    ]
    assert lines(files.refused_path) == [
        {"image": "../in/W/2.jpg", "row": 2, "stage": "s", "reason": "why", "text": "No.", "captions": {}}
    ]
    assert len(lines(files.failed_path)) == 1
    report = files.report()
    assert report.startswith("2 of 3 samples cannot be used: 1 x refused (why), 1 x why")
    assert report.endswith(f"All of them: {files.refused_path} and {files.failed_path}")


def test_files_of_an_earlier_run_go_and_errors_change_nothing(tmp_path: Path) -> None:
    out = tmp_path / "c.jsonl"
    out.with_name("c.jsonl.failed.jsonl").write_text("old\n")

    def interrupted() -> None:
        with ResultFiles(out) as files:
            files.put(Captioned(row=row(tmp_path, 1), captions={"a": "x"}, models={"a": "m"}))
            raise KeyError

    with pytest.raises(KeyError):
        interrupted()
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"c.jsonl.failed.jsonl": "old\n"}
    with ResultFiles(out) as files:
        files.put(Captioned(row=row(tmp_path, 1), captions={"a": "x"}, models={"a": "m"}))
    assert files.report() == ""
    assert [path.name for path in tmp_path.iterdir()] == ["c.jsonl"]
