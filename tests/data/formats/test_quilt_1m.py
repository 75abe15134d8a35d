"""The Quilt-1M lookup table (feature A2)."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.formats.quilt_1m import read_quilt_1m

HEADER = ["", "caption", "image_path", "subset", "split", "pathology", "roi_text", "magnification", "height", "width"]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "quilt_1M_lookup.csv"
    rows = [
        ["0", "Nests, of cells.", "v1_image_a.b.jpg", "quilt", "train", "['Skin']", "['x, y']", "nan", "9", "7"],
        ["1", "The same image.", "v1_image_a.b.jpg", "quilt", "train", "[]", "", "1.0", "9", "7"],
        ["2", "A tweet.", "t.png", "openpath", "val", "[]", "", "", "9", "7"],
        ["3", "", "u.png", "openpath", "train", "[]", "", "", "9", "7"],
    ]
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([HEADER, *rows])
    return path


def test_a2_rows(table: Path) -> None:
    records, bad = read_quilt_1m(table, media_dir=table.parent / "media")
    assert [record.id for record in records] == ["v1_image_a.b#2", "v1_image_a.b#3", "t"]
    assert records[0].conversations[1].text == "Nests, of cells."
    assert records[0].meta == {"subset": "quilt", "split": "train", "magnification": "nan"}
    assert records[2].meta == {"subset": "openpath", "split": "val"}
    assert records[2].images == (str(table.parent / "media/t.png"),)
    assert [(sample.row, sample.reason) for sample in bad] == [(5, "empty answer")]


def test_a2_filters(table: Path) -> None:
    assert [r.row for r in read_quilt_1m(table, subset="OpenPath", split="val")[0]] == [4]
    records, bad = read_quilt_1m(table, split="train", subset="quilt")
    assert ([r.row for r in records], bad) == ([2, 3], [])  # rows of others are not judged
    with pytest.raises(PathPluginsError, match=r"no row has subset 'laion'; found quilt \(2\), openpath \(2\)"):
        read_quilt_1m(table, subset="laion")
    with pytest.raises(PathPluginsError, match=r"no row has split 'val'; found train \(2\)"):
        read_quilt_1m(table, subset="quilt", split="val")
    table.write_text("caption,image_path\nx,a.jpg\n")
    assert len(read_quilt_1m(table)[0]) == 1
    with pytest.raises(PathPluginsError, match="lacks the columns subset"):
        read_quilt_1m(table, subset="quilt")
