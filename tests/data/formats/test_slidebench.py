"""SlideBench: multiple-choice questions about slides, and the rows that cannot be used."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.formats.slidebench import read_slidebench


def test_questions_and_bad_rows(tmp_path: Path) -> None:
    header = ["ID", "Slide", "Tumor", "Broad Category", "Narrow Category", "Question", *"ABCD", "Answer", "Output"]
    rows = [
        ["1", "TCGA-A", "BRCA", "Micro", "Grade", "Which grade?", "one", "two", "three", "four", "B", "A"],
        ["7", "TCGA-A", "BRCA", "Micro", "Stage", "Which panel?", "B", "A", "", "", "b", ""],
        ["2", "TCGA-A", "BRCA", "Micro", "Stage", "Which, if any?", "x", "y", "", "", "y", ""],
        ["3", "TCGA-A", "BRCA", "Micro", "Stage", "Which?", "x", "y", "", "", "C", ""],
        ["4", "TCGA-A", "BRCA", "Micro", "Stage", "", "x", "y", "", "", "A", ""],
        ["5", "TCGA-A", "BRCA", "Micro", "Stage", "Which?", "x", "", "", "", "A", ""],
        ["6", "TCGA-A", "BRCA", "Micro", "Stage", "<image>?", "x", "y", "", "", "A", ""],
    ]
    path = tmp_path / "SlideBench.csv"
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([header, *rows])
    records, bad = read_slidebench(path, media_dir="/features")
    assert [(r.id, r.images, r.conversations[1].text) for r in records] == [
        ("1", ("/features/BRCA/TCGA-A.csv",), "B) two"),
        ("7", ("/features/BRCA/TCGA-A.csv",), "B) A"),
        ("2", ("/features/BRCA/TCGA-A.csv",), "B) y"),
    ]
    assert records[0].conversations[0].text.endswith("A) one\nB) two\nC) three\nD) four")
    published, _ = read_slidebench(path, media_dir="/features", published_prompt=True, image_suffix=".h5")
    assert published[0].images == ("/features/BRCA/TCGA-A.h5",)
    assert published[0].conversations == (
        *(("user", "<image>\nWhich grade?\nA. one\nB. two\nC. three\n" + "D. four"), ("assistant", "B. two")),
    )
    assert records[0].meta["narrow_category"] == "Grade"
    assert [sample.reason for sample in bad] == [
        *("answer not among choices", "no question", "unreadable choices", "misplaced placeholder")
    ]
    flat, _ = read_slidebench(path, media_dir="/features", flat_images=True)
    assert flat[0].images == ("/features/TCGA-A.csv",)
    with pytest.raises(PathPluginsError, match=r"image_suffix must begin with a dot, as in .h5; got 'h5'"):
        read_slidebench(path, image_suffix="h5")
    path.write_text("ID,Slide\n1,a\n")
    with pytest.raises(PathPluginsError, match="lacks the columns Tumor, Question"):
        read_slidebench(path)
