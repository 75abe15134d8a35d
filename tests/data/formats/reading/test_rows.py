"""Rows of source files: text as it is read, cells as text, and rows that become records, faults or nothing."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.formats.reading.rows import (
    BadRowError,
    Row,
    choice_texts,
    drafts,
    none_kept,
    read_chunks,
    read_lines,
    refuse_placeholder,
    same,
    shown,
    text_of,
)
from pathplugins.data.records import BadSample, Record


def test_lines_and_chunks_are_the_same_text(tmp_path: Path) -> None:
    text = "Größe\r\n\u2028ein\rzwei\n"
    (tmp_path / "a").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert [*read_lines(tmp_path / "a", wanted="x")] == ["Größe\r\n", "\u2028ein\r", "zwei\n"]
    assert "".join(read_chunks(tmp_path / "a", wanted="x", size=3)) == text


def test_files_that_cannot_be_read_say_why(tmp_path: Path) -> None:
    with pytest.raises(PathPluginsError, match="no such file; expected a table there"):
        next(read_lines(tmp_path / "a", wanted="a table"))
    (tmp_path / "slides.csv").write_text("a\n")
    with pytest.raises(PathPluginsError, match=r"expected a table there; did you mean .*slides\.csv\?"):
        next(read_lines(tmp_path / "slide.csv", wanted="a table"))
    (tmp_path / "a").write_bytes(b"one\ntwo\nthr\xe9e\n")
    with pytest.raises(PathPluginsError, match=r"a:3 is not UTF-8 .*save the file as UTF-8"):
        [*read_lines(tmp_path / "a", wanted="a table")]
    (tmp_path / "a").write_text("version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(PathPluginsError, match="a Git-LFS pointer, not a table itself; fetch it with `git lfs pull`"):
        next(read_lines(tmp_path / "a", wanted="a table"))


def test_rows_become_drafts_faults_or_nothing() -> None:
    def make(row: Row) -> Record | None:
        if row.cells["n"] == 1:
            raise BadRowError("why", "detail")
        if row.cells["n"] == 2:
            return None
        return Record(id="a", conversations=(), images=(), meta={}, source=row.source, row=row.number)

    earlier = BadSample(source="m", row=9, reason="malformed row", detail="")
    record, fault, last = drafts([*(Row("m", n + 1, {"n": n}) for n in range(3)), earlier], make)
    assert isinstance(record, Record)
    assert fault == BadSample(source="m", row=2, reason="why", detail="detail")
    assert last is earlier


@pytest.mark.parametrize(("cell", "text"), [(" a ", "a"), (" ä\n", "ä"), (None, ""), (3, "3"), (0.5, "0.5")])
def test_cells_as_text(cell: object, text: str) -> None:
    assert text_of({"x": cell}, "x") == text
    assert text_of({}, "x") == ""


@pytest.mark.parametrize("cell", [True, ["a"], {"a": 1}])
def test_cells_that_are_no_text(cell: object) -> None:
    with pytest.raises(BadRowError, match=r"x is .*, expected text"):
        text_of({"x": cell}, "x")


def test_half_a_character_is_refused() -> None:
    with pytest.raises(BadRowError, match="x has half a character at position 5"):
        text_of({"x": "half \ud83d"}, "x")


def test_small_helpers() -> None:
    assert choice_texts("Which?", ["one", "two"], 1) == ("Which?\n\nChoose one of these:\nA) one\nB) two", "B) two")
    assert same(" TRAIN ", "train")
    with pytest.raises(BadRowError, match="the text contains <image>, which this format adds itself; remove it"):
        refuse_placeholder("see <image>")
    assert shown("a" * 90).endswith("aaa...")
    assert len(shown("a" * 90)) == 80
    error = none_kept(Path("t.csv"), "split", "test", Counter({"train": 3, "": 1}), "ask for another split")
    assert str(error) == "t.csv: no row has split 'test'; found train (3), (empty) (1); ask for another split"
