from __future__ import annotations

from pathlib import Path

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.splits import Fold, Split, write_split
from pathplugins.data_tools.splits.check import check_files, check_split
from pathplugins.data_tools.splits.row_groups import GroupRule


def test_files_that_share_a_slide_are_named(tmp_path: Path) -> None:
    one, other = tmp_path / "train.csv", tmp_path / "test.jsonl"
    one.write_text("slide_id,label\ns1,\ns2,a\n")
    other.write_text('{"image": "bags/s2.h5"}\n{"image": "bags/s3.h5"}\n')
    (leak,) = check_files([one, other], GroupRule(by="slide"), on_ungrouped="error")
    assert (leak.parts, leak.groups) == ((str(one), str(other)), ("s2",))
    with pytest.raises(PathPluginsError, match="given twice"):
        check_files([one, one], GroupRule(by="slide"), on_ungrouped="error")


def test_parts_of_a_split_that_share_a_patient_are_named(tmp_path: Path) -> None:
    path = tmp_path / "folds.json"
    names = [f"TCGA-AB-000{patient}-01Z-00-DX{slide}.h5" for patient, slide in ((1, 1), (2, 1), (1, 2))]
    fold = Fold(number=0, train=names[:1], valid=names[1:2], test=names[2:])
    write_split(path, Split(by="slide", seed=0, source="bags", folds=(fold,)))
    assert check_split(path, GroupRule(by="slide")) == []
    assert check_split(path, GroupRule(by="sample")) == []
    (leak,) = check_split(path, GroupRule(by="patient"))
    assert (leak.parts, leak.groups) == (("train", "test"), ("TCGA-AB-0001",))
    with pytest.raises(PathPluginsError, match="no columns"):
        check_split(path, GroupRule(by="slide", column="case"))
