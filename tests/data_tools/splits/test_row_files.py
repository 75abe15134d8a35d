from __future__ import annotations

import json
from pathlib import Path

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.records import BadSample
from pathplugins.data_tools.splits.row_files import RawRow, open_rows


def rows_of(path: Path) -> tuple[list[RawRow], list[BadSample]]:
    rows = list(open_rows(path).rows())
    return [row for row in rows if isinstance(row, RawRow)], [row for row in rows if isinstance(row, BadSample)]


def test_rows_of_a_table_keep_their_text(tmp_path: Path) -> None:
    head, one, two, last = '"a",b\r\n', '007,"x, ""y""\r\nz"\r\n', "'NA', é \r\n", "1,2"
    path = tmp_path / "t.csv"
    path.write_bytes(f"\ufeff{head}{one}\r\n{two}{last}".encode())
    file = open_rows(path)
    rows, bad = rows_of(path)
    assert file.head == head
    assert not bad
    assert [row.text for row in rows] == [one, two, last + "\r\n"]
    assert [row.number for row in rows] == [2, 5, 6]
    assert rows[0].cells == {"a": "007", "b": 'x, "y"\r\nz'}
    assert list(file.rows()) == rows  # from the start again


def test_tabs_separate_where_they_are_more(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text("slide\tlabel, text\n1\ta, b\n")
    assert rows_of(tmp_path / "t.tsv")[0][0].cells == {"slide": "1", "label, text": "a, b"}


def test_rows_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('a,b\n1\n1,2\n"3,4\n')
    rows, bad = rows_of(tmp_path / "t.csv")
    assert [row.number for row in rows] == [3]
    assert [(each.row, each.detail.partition(":")[0]) for each in bad] == [
        (2, "1 fields, the header has 2"),
        (4, "not readable as CSV"),
    ]
    (tmp_path / "l.jsonl").write_text('{"a": 1}\n\n[2]\n{"a"\n')
    rows, bad = rows_of(tmp_path / "l.jsonl")
    assert ([row.number for row in rows], [each.row for each in bad]) == ([1], [3, 4])


SAMPLES = [{"id": "ü", "n": 1.50, "image": ["a.png", "b.png"]}, {"id": "2", "text": "\ud83d"}]


@pytest.mark.parametrize("shape", ["list", "object", "lines", "lines called .json"])
def test_json_is_written_again_in_its_shape(shape: str, tmp_path: Path) -> None:
    path = tmp_path / ("s.jsonl" if shape == "lines" else "s.json")
    if shape.startswith("lines"):
        path.write_text("".join(f"{json.dumps(sample)}\n" for sample in SAMPLES))
    else:
        path.write_text(json.dumps(SAMPLES if shape == "list" else {"x": SAMPLES[0], "y": SAMPLES[1]}))
    file = open_rows(path)
    rows, bad = rows_of(path)
    assert not bad
    assert [row.cells for row in rows] == SAMPLES
    text = file.head + file.between.join(row.text for row in rows) + file.tail
    again = tmp_path / f"again{path.suffix}"
    again.write_text(text)
    assert [row.cells for row in rows_of(again)[0]] == SAMPLES
    if not shape.startswith("lines"):
        assert json.loads(text) == json.loads(path.read_text())


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("t.csv", "", "has no header"),
        ("t.csv", "\n1,2\n", "begins with an empty line"),
        ("t.csv", "a,a\n1,2\n", "more than one column a"),
        ("s.json", '{"a": 1}', "holds no list of samples"),
        ("s.txt", "a", "rows are read of .csv, .tsv, .json, .jsonl"),
    ],
)
def test_another_file_is_refused(name: str, text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(PathPluginsError, match=message):
        open_rows(tmp_path / name)
    with pytest.raises(PathPluginsError, match="no such file"):
        open_rows(tmp_path / "none.csv")
