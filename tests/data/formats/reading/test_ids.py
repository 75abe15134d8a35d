"""Selection by an image-id index (feature A1)."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.formats.reading.ids import Listed, read_ids
from pathplugins.data.records import Record


def record(name: str, *images: str) -> Record:
    return Record(id=name, conversations=(), images=images, meta={}, source="s.json", row=1)


RECORDS = [record("1", "x/a.b.jpg"), record("2", "y/c.png", "d.png"), record("3", "e.jpg"), record("4")]


def keep_listed(path: Path, *, source: Path) -> list[Record]:
    listed = Listed(path, source=source)
    kept = [record for record in RECORDS if record in listed]
    listed.finish()
    return kept


@pytest.mark.parametrize(
    ("name", "text", "ids"),
    [
        ("i.txt", "\ufeffa\n\n b \r\na\n", ["a", "b"]),
        ("i.json", '["a", 7, {"image": "b.jpg", "caption": "x"}]', ["a", "7", "b.jpg"]),
        ("i.csv", "caption,image\nx,a.jpg\ny,b.jpg\n", ["a.jpg", "b.jpg"]),
        ("i.csv", "image,id\nx.jpg,a\n", ["a"]),
        ("i.tsv", "image_path\ta\nb.jpg\t1\n", ["b.jpg"]),
    ],
)
def test_a1_index_files(tmp_path: Path, name: str, text: str, ids: list[str]) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert read_ids(tmp_path / name) == ids


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("i.txt", "\n\n", "holds no ids"),
        ("i.json", "[]", "holds no ids"),
        ("i.json", "[1.5]", r"lists 1\.5"),
        ("i.json", '[{"name": "a"}]', "lists None"),
        ("i.json", '["a"', r"i\.json is not JSON \(.*line 1"),
        ("i.json", "[" * 5000, "nested too deeply"),
        ("i.csv", "name\na\n", "has the columns name; expected one of id, image_id"),
    ],
)
def test_a1_unusable_indexes(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(PathPluginsError, match=message):
        read_ids(tmp_path / name)


@pytest.mark.parametrize(
    ("entry", "kept"),
    [("1", ["1"]), ("x/a.b.jpg", ["1"]), ("a.b.jpg", ["1"]), ("a.b", ["1"]), ("d", ["2"]), ("4", ["4"])],
)
def test_a1_ids_names_and_stems_match(tmp_path: Path, entry: str, kept: list[str]) -> None:
    (tmp_path / "i.txt").write_text(entry)
    assert [r.id for r in keep_listed(tmp_path / "i.txt", source=tmp_path)] == kept


def test_a1_unknown_ids_are_counted_and_none_is_an_error(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "i.txt"
    path.write_text("e\nnobody\na\n3\n")
    with caplog.at_level(logging.WARNING):
        assert [r.id for r in keep_listed(path, source=tmp_path)] == ["3"]
    assert "2 of 4 ids are not in" in caplog.text
    assert "nobody, a" in caplog.text
    path.write_text("nobody\n")
    with pytest.raises(PathPluginsError, match=r"none of its 1 ids \(nobody, \.\.\.\) is in .* \(1, 2, 3, \.\.\.\)"):
        keep_listed(path, source=tmp_path)
