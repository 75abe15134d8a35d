"""Two hundred rows, each bad in its own way: one report with all of them, and the good rows whole."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from bad_rows import bad_rows, good_row, write_pictures

from pathplugins.data_tools.cli import main


def test_all_are_named_with_row_and_reason_and_the_good_ones_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad, lines, places = list(bad_rows()), [], {}
    assert len({line for _, line in bad}) == len(bad) >= 200
    for number, (what, line) in enumerate(bad):
        lines += [json.dumps(good_row(number)), line]
        places[len(lines)] = what
    (tmp_path / "rows.jsonl").write_text("\n".join([*lines, ""]))
    write_pictures(tmp_path)
    out = tmp_path / "out" / "a.json"
    words = ["convert", "llava", tmp_path / "rows.jsonl", "--to", "sharegpt", "--image-folder", tmp_path, "--out", out]

    assert main([*map(str, words)]) == 1
    said = capsys.readouterr().err
    assert f"{len(bad)} of {2 * len(bad)} samples cannot be used: " in said
    report = out.with_name("a.json.bad.jsonl")
    assert str(report) in said
    assert "nothing was written; correct these rows, or pass --on-bad skip" in said
    assert [path.name for path in out.parent.iterdir()] == [report.name]
    faults = [json.loads(line) for line in report.read_text().splitlines()]
    assert {fault["row"]: places.get(fault["row"]) for fault in faults} == places
    assert all(fault["reason"] and fault["detail"] for fault in faults)

    assert main([*map(str, words), "--on-bad", "skip"]) == 0
    kept = json.loads(out.read_text())
    assert [row["conversations"][-1]["value"] for row in kept] == [f"Gland {number}." for number in range(len(bad))]
    assert len(report.read_text().splitlines()) == len(faults)
