from __future__ import annotations

from pathlib import Path

from pathplugins.data_tools.splits.row_groups import GroupRule
from pathplugins.data_tools.tables.bags_of_labels import Join, Labelled
from pathplugins.data_tools.tables.labels import SlideLabel
from pathplugins.data_tools.tables.patients import group_slides, patients_of

NAMES = ("TCGA-AB-0001-01Z-00-DX1.u", "s2")


def joined() -> Join:
    rows = [
        SlideLabel(at, name, "a", {"Slide_ID": f"{name}.svs", "case_id": f"p{at}"}) for at, name in enumerate(NAMES)
    ]
    return Join(slides=[Labelled(row.slide, row, Path(f"{row.slide}.h5")) for row in rows])


def test_slides_without_a_patient_are_a_fault_that_names_the_likely_column() -> None:
    join = joined()
    assert patients_of(join) == [("TCGA-AB-0001",), ()]
    assert group_slides(join, GroupRule(by="patient")) == ["TCGA-AB-0001"]
    assert [slide.slide_id for slide in join.slides] == [NAMES[0]]
    ((kind, lines),) = join.faults.items()
    assert "pass --group-column case_id" in kind
    assert lines == ["s2"]


def test_a_column_names_the_patient_and_a_slide_is_its_barcode() -> None:
    assert group_slides(joined(), GroupRule(by="patient", column="case_id")) == ["p0", "p1"]
    assert group_slides(joined(), GroupRule(by="slide")) == ["TCGA-AB-0001-01Z-00-DX1", "s2"]
