from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.splits.make import Plan
from pathplugins.data_tools.splits.divide_rows import assign_apart, leaks_of, write_parts
from pathplugins.data_tools.splits.look import Looked, look_at
from pathplugins.data_tools.splits.row_files import open_rows
from pathplugins.data_tools.splits.row_groups import GroupRule


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """31 patients, each with up to three slides, a question or two a slide."""
    path = tmp_path / "t.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        rows = csv.writer(stream)
        rows.writerow(["slide_id", "question", "label"])
        for patient in range(31):
            for slide in range(1 + patient % 3):
                for number in range(1 + patient % 2):
                    text = f'what "is", it\n{number}?'
                    rows.writerow([f"TCGA-AB-{patient:04}-01Z-00-DX{slide + 1}.u", text, "ab"[patient % 2]])
    return path


def divided(looked: Looked, plan: Plan) -> np.ndarray:
    return assign_apart(looked.groups, looked.labels, plan, looked.within)


def read(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.reader(stream))


def test_every_row_is_in_one_part_unchanged_and_no_patient_in_two(table: Path, tmp_path: Path) -> None:
    file = open_rows(table)
    looked = look_at(file, GroupRule(by="patient"), on_ungrouped="error", usual_label=True)
    assert looked.label_column == "label"
    parts = divided(looked, Plan(folds=3))
    written = write_parts(file, looked.kept, parts, tmp_path / "out")
    assert len(written) == 9
    head, *rows = read(table)
    for fold in range(3):
        files = [tmp_path / "out" / f"fold_{fold}" / f"{part}.csv" for part in ("train", "valid", "test")]
        tables = [read(path) for path in files]
        assert all(each[0] == head for each in tables)
        assert sorted(row for each in tables for row in each[1:]) == sorted(rows)
        patients = [{row[0][:12] for row in each[1:]} for each in tables]
        assert sum(map(len, patients)) == len(set.union(*patients)) == 31
        assert all({row[2] for row in each[1:]} == {"a", "b"} for each in tables)
    assert leaks_of(parts, looked.coarser) == []


def test_rows_without_a_group_are_in_no_part(table: Path, tmp_path: Path) -> None:
    with table.open("a") as stream:
        stream.write("s1,q,a\ns2,q,\n")
    file = open_rows(table)
    looked = look_at(file, GroupRule(by="patient"), on_ungrouped="skip")
    write_parts(file, looked.kept, divided(looked, Plan(valid=0)), tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["test.csv", "train.csv"]
    rows = [row for part in ("train", "test") for row in read(tmp_path / "out" / f"{part}.csv")[1:]]
    assert len(rows) == looked.kept.sum() == len(looked.kept) - 2


def test_nothing_is_left_behind_where_writing_fails(table: Path, tmp_path: Path) -> None:
    file = open_rows(table)
    looked = look_at(file, GroupRule(by="slide"), on_ungrouped="error")
    parts = divided(looked, Plan())
    with table.open("a") as stream:
        stream.write("s1,q,a\n")
    with pytest.raises(PathPluginsError, match="was changed while"):
        write_parts(file, looked.kept, parts, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    with pytest.raises(PathPluginsError, match="not an empty directory"):
        write_parts(file, looked.kept, parts, tmp_path / "full")


def test_a_leak_stops_everything() -> None:
    with pytest.raises(PathPluginsError, match=r"parts share groups:\nfold 0: train and test share 1: p"):
        assign_apart(["a", "b"], ["", ""], Plan(valid=0, test=0.5), [("p",), ("p",)])
    leaks = leaks_of(np.array([[0, 2, 1]], np.int8), [("p",), ("p", "q"), ("r",)])
    assert [(leak.parts, leak.groups) for leak in leaks] == [(("train", "test"), ("p",))]
