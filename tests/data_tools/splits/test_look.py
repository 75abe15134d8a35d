from __future__ import annotations

from pathlib import Path

import pytest

from pathplugins.core.errors import BadSamplesError, PathPluginsError
from pathplugins.data_tools.splits.look import look_at
from pathplugins.data_tools.splits.row_files import open_rows
from pathplugins.data_tools.splits.row_groups import GroupRule


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Two slides of one patient, one of another, and one of unknown patient without a class."""
    path = tmp_path / "t.csv"
    names = ("TCGA-AB-0001-01Z-00-DX1.u", "TCGA-AB-0001-01Z-00-DX2.u", "TCGA-AB-0002-01Z-00-DX1.u")
    path.write_text(
        "slide_id,case_id,Label\n" + "".join(f"{name},{at},a\n" for at, name in enumerate(names)) + "s4,3,\n"
    )
    return path


def test_groups_classes_and_the_unit_above_are_read(table: Path) -> None:
    table.write_text(table.read_text().replace("s4,3,\n", ""))
    looked = look_at(open_rows(table), GroupRule(by="slide"), on_ungrouped="error", usual_label=True)
    assert looked.label_column == "Label"
    assert looked.labels == ["a", "a", "a"]
    assert looked.groups == [f"TCGA-AB-{name}" for name in ("0001-01Z-00-DX1", "0001-01Z-00-DX2", "0002-01Z-00-DX1")]
    assert looked.coarser == [("TCGA-AB-0001",), ("TCGA-AB-0001",), ("TCGA-AB-0002",)]
    assert look_at(open_rows(table), GroupRule(by="patient"), on_ungrouped="error").labels == ["", "", ""]


def test_rows_without_a_group_or_class_are_one_report(table: Path) -> None:
    with pytest.raises(BadSamplesError, match=r"1 of 4 .*1 x no patient\n.*csv:5: .*\n.*--group-column case_id,"):
        look_at(open_rows(table), GroupRule(by="patient"), on_ungrouped="error")
    looked = look_at(open_rows(table), GroupRule(by="patient"), on_ungrouped="skip")
    assert looked.notes == ["in no part: 1 row without a patient"]
    assert looked.kept.tolist() == [True, True, True, False]
    with pytest.raises(BadSamplesError, match=r"t\.csv:5: no class: Label is empty"):
        look_at(open_rows(table), GroupRule(by="slide"), on_ungrouped="error", label_column="Label")


def test_a_column_split_is_told_of_because_readers_filter_by_it(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("slide_id,split\ns1,val\n")
    (note,) = look_at(open_rows(path), GroupRule(by="slide"), on_ungrouped="error").notes
    assert "column split stays" in note
    path.write_text("slide_id,split\n")
    with pytest.raises(PathPluginsError, match="no row that can be divided"):
        look_at(open_rows(path), GroupRule(by="slide"), on_ungrouped="error")
