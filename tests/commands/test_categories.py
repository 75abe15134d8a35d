"""Categories: of the record, of the table or sample it was made of, or read off the answer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pathplugins.commands.categories import categories
from pathplugins.core.errors import PathPluginsError
from pathplugins.data.formats.class_folders import read_class_folders
from pathplugins.data.formats.llava import read_llava
from pathplugins.data.formats.slidebench import read_slidebench


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "bench.csv"
    path.write_text(
        "ID,Slide,Tumor,Narrow Category,Scanner,Question,A,B,C,D,Answer\n"
        'q1,s1,BRCA,Grade,"GT, 450","Which\none?",x,y,,,A\n'
        "bad,s1,BRCA,Grade,GT,,x,y,,,A\n"
        "q2,s2,LUAD,,AT2,Which?,x,y,,,B\n"
    )
    return path


def test_a_field_of_the_record(table: Path) -> None:
    records, bad = read_slidebench(table)
    assert len(bad) == 1
    assert categories(records, "Tumor") == {"q1": "BRCA", "q2": "LUAD"}
    assert categories(records, "narrow category") == {"q1": "Grade", "q2": "(none)"}


@pytest.mark.parametrize("mark", [",", "\t"], ids=["commas", "tabs"])
def test_a_column_that_the_format_does_not_keep(table: Path, mark: str) -> None:
    if mark == "\t":
        table.write_text(table.read_text().replace('"GT, 450"', "GT 450").replace(",", "\t"))
    records, _ = read_slidebench(table)
    assert categories(records, "scanner") == {"q1": "GT, 450" if mark == "," else "GT 450", "q2": "AT2"}


def test_a_key_of_a_sample_and_the_answer(tmp_path: Path) -> None:
    turns = [[{"from": "human", "value": "<image>\nIs it?"}, {"from": "gpt", "value": a}] for a in ("Yes.", "a cyst")]
    rows = [{"id": "a", "organ": "lung", "tags": ["x"]}, {"id": "b", "tags": ["y"]}]
    path = tmp_path / "test.jsonl"
    path.write_text(
        "".join(f"{json.dumps({**row, 'image': 'i.png', 'conversations': turns[n]})}\n" for n, row in enumerate(rows))
    )
    records, _ = read_llava(path)
    assert categories(records, "Organ") == {"a": "lung", "b": "(none)"}
    assert categories(records, "answer type") == {"a": "closed", "b": "open"}
    with pytest.raises(
        PathPluginsError, match=r"--by organs: the data has no such field, only .*Did you mean --by 'or"
    ):
        categories(records, "organs")
    with pytest.raises(PathPluginsError, match=r"--by tags: \S+jsonl:1: .*; name a field with one value a question"):
        categories(records, "tags")


def test_a_folder_has_no_columns(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.png").touch()
    records, _ = read_class_folders(tmp_path)
    assert categories(records, "class") == {"a/1": "a", "b/1": "b"}
    with pytest.raises(PathPluginsError, match="only 'class', 'answer_type'"):
        categories(records, "scanner")
