"""Drafts become records: ids, places, selection."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.formats.reading.assembly import Places, Stream, folders_for
from pathplugins.data.records import BadSample, Record, Turn


def draft(name: str, row: int, *, image: str = "i.jpg", answer: str = "two words", source: str = "s.json") -> Record:
    turns = (Turn("user", "<image>\nQ"), Turn("assistant", answer))
    return Record(id=name, conversations=turns, images=(image,), meta={}, source=source, row=row)


def assemble(
    found: list[Record | BadSample], *, folders: list[Path], **options: Any
) -> tuple[list[Record], list[BadSample]]:
    return Stream(drafts=lambda: iter(found), folders=folders, **options).lists()


def test_ids_are_unique_and_do_not_depend_on_the_selection(tmp_path: Path) -> None:
    found = [draft("a", 1), draft("b", 2), draft("a", 3), draft("a#3", 4)]
    records, bad = assemble(found, path=tmp_path, folders=[tmp_path])
    assert not bad
    assert [record.id for record in records] == ["a#1", "b", "a#3", "a#3#4"]
    (tmp_path / "ids.txt").write_text("b\na#3\n")
    assert [r.id for r in assemble(found, path=tmp_path, folders=[tmp_path], ids=tmp_path / "ids.txt")[0]] == [
        *("b", "a#3#4")
    ]
    found = [draft("a", 1, source="x/p.json"), draft("a", 1, source="x/q.json")]
    records, _ = assemble(found, path=tmp_path, folders=[tmp_path])
    assert [record.id for record in records] == ["a#p.json:1", "a#q.json:1"]


def test_bad_rows_come_in_order_and_unselected_ones_are_not_judged(tmp_path: Path) -> None:
    malformed = BadSample(source="s.json", row=2, reason="malformed row", detail="")
    found = [draft("a", 1, answer=""), malformed, draft("b", 3), draft("c", 4, answer=" ")]
    records, bad = assemble(found, path=tmp_path, folders=[tmp_path])
    assert [record.id for record in records] == ["b"]
    assert [(sample.row, sample.reason) for sample in bad] == [
        *((1, "empty answer"), (2, "malformed row"), (4, "empty answer"))
    ]
    (tmp_path / "ids.txt").write_text("b")
    assert assemble(found, path=tmp_path, folders=[tmp_path], ids=tmp_path / "ids.txt")[1] == [malformed]


def test_a1_short_captions_are_left_out_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    found = [draft("a", 1, answer="one two three"), draft("b", 2, answer="one  two\n")]
    with caplog.at_level(logging.WARNING):
        assert [r.id for r in assemble(found, path=tmp_path, folders=[tmp_path], min_words=3)[0]] == ["a"]
    assert "1 of 2 captions have fewer than 3 words" in caplog.text
    with pytest.raises(PathPluginsError, match="none of 2 captions has 4 words"):
        assemble(found, path=tmp_path, folders=[tmp_path], min_words=4)


def test_where_images_are_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in ("media/x/1.jpg", "beside/x/1.jpg", "beside/x/2.jpg", "beside/3.jpg"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).touch()
    source = tmp_path / "beside" / "s.json"
    source.touch()
    folders = folders_for(source, tmp_path / "media")
    assert folders == (tmp_path / "media", tmp_path / "beside")
    assert folders_for(tmp_path / "beside", None) == (tmp_path / "beside",)
    places = Places(folders)
    wanted = {"x/1.jpg": "media/x/1.jpg", "x/2.jpg": "beside/x/2.jpg", "3.jpg": "beside/3.jpg", "4.jpg": "media/4.jpg"}
    assert {name: places.locate(name) for name in wanted} == {n: str(tmp_path / place) for n, place in wanted.items()}
    assert places.locate("/abs/1.jpg") == "/abs/1.jpg"
    assert places.locate("a\0b.jpg") == str(tmp_path / "media" / "a\0b.jpg")
    monkeypatch.chdir(tmp_path)
    assert folders_for(Path("beside/s.json"), "media") == folders
    monkeypatch.setattr("os.listdir", None)  # one folder needs no listing
    assert Places(folders[:1]).locate("x/9.jpg") == str(tmp_path / "media/x/9.jpg")


def test_an_image_whose_name_no_file_can_have_is_missing(tmp_path: Path) -> None:
    good, bad = assemble([draft("a", 1, image="x" * 5000)], path=tmp_path, folders=[tmp_path], look=True)
    assert not good
    assert [sample.reason for sample in bad] == ["missing file"]
