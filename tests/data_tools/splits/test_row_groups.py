from __future__ import annotations

from typing import Any

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.splits.row_files import RawRow
from pathplugins.data_tools.splits.row_groups import GroupRule, join_groups, slide_name

BARCODE = "TCGA-AB-0001-01Z-00-DX1"


def groups(rule: GroupRule, **cells: Any) -> tuple[str, ...]:
    return rule.groups(RawRow(1, cells, str(cells)))


@pytest.mark.parametrize(
    ("cells", "slide", "patient"),
    [
        ({"slide_id": f"{BARCODE}.af2b", "image": "x.png"}, (BARCODE,), ("TCGA-AB-0001",)),
        ({"slide_id": "007", "h5_path": "other.h5"}, ("007",), ()),
        ({"Slide": "s1.svs"}, ("s1",), ()),
        ({"slide_id": "", "h5_path": "bags/s2.svs.h5"}, ("s2",), ()),
        ({"slide_id": "", "h5_path": "bags/s2.svs.h5;bags/s3.h5"}, ("s2", "s3"), ()),
        ({"image": f"{BARCODE}_3.png"}, (BARCODE,), ("TCGA-AB-0001",)),
        ({"image": ["TCGA-BRCA/s.4.pt"]}, ("s.4",), ()),
        ({"image": "patch_17.png"}, (), ()),
        ({"images": [f"{BARCODE}_1.png", "TCGA-AB-0002-01Z-00-DX1_1.png"]}, None, ("TCGA-AB-0001", "TCGA-AB-0002")),
        ({"images": [f"{BARCODE}_1.png", "patch.png"]}, (), ()),
        ({"image": r"C:\slides\s5.svs"}, ("s5",), ()),
        ({"image": 3.5}, (), ()),
        ({"text": "no image"}, (), ()),
    ],
    ids=str,
)
def test_ids_and_paths_name_the_slide(cells: dict, slide: tuple | None, patient: tuple) -> None:
    if slide is not None:
        assert groups(GroupRule(by="slide"), **cells) == slide
    assert groups(GroupRule(by="patient"), **cells) == patient


def test_a_column_or_a_pattern_names_the_group() -> None:
    rule = GroupRule(by="patient", column="case")
    assert groups(rule, case=17, slide_id=BARCODE) == ("17",)
    assert groups(rule, case="", slide_id=BARCODE) == ()
    assert groups(GroupRule(by="patient", pattern=r"^(\d+)-"), image="17-3.png") == ("17",)
    assert groups(GroupRule(by="slide", column="case", pattern=r"^(\d)"), case="17-3") == ("1",)
    with pytest.raises(PathPluginsError, match=r"there is no such column.*did you mean case"):
        GroupRule(by="slide", column="csae").check_columns(["case", "label"])
    with pytest.raises(PathPluginsError, match="--by sample knows no groups"):
        GroupRule(by="sample", column="case")


def test_equal_rows_are_one_sample() -> None:
    rule = GroupRule(by="sample")
    assert rule.groups(RawRow(1, {}, "a,b\n")) == rule.groups(RawRow(9, {}, "a,b")) != rule.groups(RawRow(2, {}, "a,c"))


def test_rows_that_share_a_group_belong_together() -> None:
    joined = join_groups([("d",), ("b", "c"), ("a",), ("c", "d"), ("e",)])
    assert joined[0] == joined[1] == joined[3]
    assert len(set(joined)) == 3


@pytest.mark.parametrize(
    ("name", "wanted"), [("d/s.1.svs.h5", "s.1"), ("s.SVS", "s"), ("s.pt", "s"), ("a.b", "a.b"), ("1.0.tiff", "1.0")]
)
def test_only_suffixes_of_files_are_cut(name: str, wanted: str) -> None:
    assert slide_name(name) == wanted
