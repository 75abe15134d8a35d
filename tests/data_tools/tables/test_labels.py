from __future__ import annotations

from pathlib import Path

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.tables.labels import read_labels


def written(folder: Path, text: str) -> Path:
    path = folder / "labels.csv"
    path.write_text(text)
    return path


def test_columns_are_found_by_usual_names_and_cells_stay_text(tmp_path: Path) -> None:
    table = read_labels(written(tmp_path, "case_id,Slide,Diagnosis\n1,007.svs,NA\n2,8,1.0\n"))
    assert (table.slide_column, table.label_column) == ("Slide", "Diagnosis")
    assert [(row.row, row.slide, row.label) for row in table.rows] == [(2, "007.svs", "NA"), (3, "8", "1.0")]
    assert table.rows[0].cells["case_id"] == "1"


def test_columns_may_be_given(tmp_path: Path) -> None:
    path = written(tmp_path, "name,grade,label\ns1,3,x\n")
    table = read_labels(path, slide_column="name", label_column="grade")
    assert [(row.slide, row.label) for row in table.rows] == [("s1", "3")]
    with pytest.raises(PathPluginsError, match="--slide-column slide1: there is no such column"):
        read_labels(path, slide_column="slide1")


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ("name,label", "none of them called slide_id, .*pass --slide-column NAME"),
        ("slide,grade", "none of them called label, .*pass --label-column NAME"),
        ("slide,label,diagnosis", "label and diagnosis may each be the label; pass --label-column NAME"),
    ],
)
def test_columns_that_are_not_certain_are_asked_for(head: str, message: str, tmp_path: Path) -> None:
    row = ",".join("x" for _ in head.split(","))
    with pytest.raises(PathPluginsError, match=message):
        read_labels(written(tmp_path, f"{head}\n{row}\n"))


def test_rows_that_say_nothing_are_kept_for_the_report(tmp_path: Path) -> None:
    table = read_labels(written(tmp_path, "slide,label\ns1,a\n,b\ns3,\ns4,c,d\n"))
    assert [row.slide for row in table.rows] == ["s1"]
    assert [(bad.row, bad.reason) for bad in table.bad] == [(3, "no slide"), (4, "no label"), (5, "malformed row")]
    with pytest.raises(PathPluginsError, match="no row that can be read"):
        read_labels(written(tmp_path, "slide,label\n"))
