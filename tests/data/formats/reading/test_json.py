"""JSON sources: lists, objects, lines and folders (features A5, A26)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.formats.reading.json import read_samples
from pathplugins.data.formats.reading.rows import Row
from pathplugins.data.records import BadSample

A, B = {"id": "a", "caption": "é"}, {"id": 7}


def found(path: Path) -> list[tuple[int | None, object]]:
    return [(r.number, r.cells) if isinstance(r, Row) else (r.row, r.reason) for r in read_samples(path)]


@pytest.mark.parametrize(
    ("name", "text", "rows"),
    [
        ("x.json", json.dumps([A, B], indent=1), [(1, A), (2, B)]),
        ("x.json", "\ufeff \n" + json.dumps([A]), [(1, A)]),
        ("x.json", json.dumps({"k": {"caption": "c"}, "l": A}), [(1, {"id": "k", "caption": "c"}), (2, A)]),
        ("x.json", json.dumps(A), [(1, A)]),
        ("x.json", f"{json.dumps(A)}\n\n{json.dumps(B)}\n", [(1, A), (3, B)]),
        ("x.jsonl", f"\n{json.dumps(A)}\r\n{json.dumps(B)}", [(2, A), (3, B)]),
        ("x.jsonl", json.dumps({"k": {"caption": "c"}}), [(1, {"k": {"caption": "c"}})]),
        (
            "x.jsonl",
            '{"id": \n{"id": 7}\n[1]\n{',
            [(1, "malformed row"), (2, B), (3, "malformed row"), (4, "malformed row")],
        ),
        ("x.json", '[{"id": 7}, "text", null]', [(1, B), (2, "malformed row"), (3, "malformed row")]),
    ],
)
def test_shapes(tmp_path: Path, name: str, text: str, rows: list[tuple[int, object]]) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8", newline="")
    assert found(path) == rows


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.json", b"", "is empty; expected a JSON list"),
        ("x.jsonl", b"\n \n", "is empty; expected one JSON object a line"),
        ("x.json", b"[]", "holds no samples"),
        ("x.json", b"{}", "holds no samples"),
        ("x.json", b"3", "holds 3; expected a JSON list"),
        ("x.json", b'[{"id": 1},\n{"id": }]', r"x\.json:2 is not JSON \(Expecting value, column 8\)"),
        ("x.json", b"image,caption\na,b\n", r"x\.json:1 is not JSON"),
        ("x.jsonl", b"image,caption\na,b\n", r"x\.jsonl:1 is not JSON .*expected one JSON object a line"),
        ("x.json", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git-LFS pointer.*git lfs pull"),
        ("x.jsonl", b'{"id": 1}\n{"id": "\xe9"}\n', r"x\.jsonl:2 is not UTF-8"),
        ("x.json", b"[" * 200_000, "nested too deeply|is not JSON"),
    ],
)
def test_what_is_no_source(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(PathPluginsError, match=message) as caught:
        found(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)


def test_a26_a_folder(tmp_path: Path) -> None:
    (tmp_path / "b.jsonl").write_text(json.dumps(B))
    (tmp_path / "a.json").write_text(json.dumps([A]))
    for name in ("c.csv", "notes.txt", ".hidden.json"):
        (tmp_path / name).write_text("not samples")
    rows = [*read_samples(tmp_path)]
    assert [(Path(row.source).name, row.number) for row in rows if isinstance(row, Row)] == [
        ("a.json", 1),
        ("b.jsonl", 1),
    ]
    assert not any(isinstance(row, BadSample) for row in rows)
    for name in ("a.json", "b.jsonl"):
        (tmp_path / name).unlink()
    with pytest.raises(PathPluginsError, match=r"no \.json or \.jsonl file in this folder"):
        found(tmp_path)
    for name in ("state.json", "dataset_info.json"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(PathPluginsError, match=r"a tokenized dataset on disk.*offline_processed_text_folder"):
        found(tmp_path)
    with pytest.raises(PathPluginsError, match=r"gone\.json: no such file"):
        found(tmp_path / "gone.json")
