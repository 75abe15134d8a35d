"""Bad rows: the file beside the output, the counts, and what a second run leaves of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pathplugins.data.records import SHOWN, BadSample
from pathplugins.data_tools.records.report import TOO_LARGE, BadRows


def fault(row: int, reason: str = "no image") -> BadSample:
    return BadSample(source="in.json", row=row, reason=reason, detail="image is empty")


def test_rows_are_counted_and_the_first_shown(tmp_path: Path) -> None:
    path = tmp_path / "out.bad.jsonl"
    with BadRows(path) as rows:
        for number in range(1, SHOWN + 4):
            rows.add([fault(number)])
        rows.add([fault(99, TOO_LARGE)])
        rows.add([fault(100, TOO_LARGE), fault(100)])
        assert not path.exists()
    assert (rows.rows, rows.bad) == (SHOWN + 5, SHOWN + 4)
    assert len(path.read_text().splitlines()) == SHOWN + 6
    assert json.loads(path.read_text().splitlines()[0])["row"] == 1
    text = rows.text(7)
    assert text.startswith(
        f"{SHOWN + 5} of {SHOWN + 12} samples cannot be used: {SHOWN + 4} x no image, 2 x {TOO_LARGE}"
    )
    assert f"in.json:{SHOWN}:" in text
    assert f"in.json:{SHOWN + 1}:" not in text
    assert text.endswith(f"All of them: {path}")


def test_without_rows_the_file_of_an_earlier_run_goes(tmp_path: Path) -> None:
    path = tmp_path / "out.bad.jsonl"
    path.write_text("old\n")
    with BadRows(path) as rows:
        pass
    assert (rows.text(3), path.exists()) == ("", False)


def test_an_error_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "out.bad.jsonl"
    path.write_text("old\n")

    def interrupted() -> None:
        with BadRows(path) as rows:
            rows.add([fault(1)])
            raise KeyError

    with pytest.raises(KeyError):
        interrupted()
    assert [file.read_text() for file in tmp_path.iterdir()] == ["old\n"]


def test_a_dry_run_keeps_no_file() -> None:
    with BadRows(None) as rows:
        rows.add([fault(1)])
    assert rows.text(0).startswith("1 of 1 samples cannot be used")
    assert "All of them" not in rows.text(0)
