"""SlideChat's tables of features, read block by block."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.bags import slidechat_csv
from pathplugins.data_tools.bags.slidechat_csv import open_source, sources


def read(path: Path) -> np.ndarray:
    (source,) = sources(path, "slidechat-csv")
    with open_source(source) as opened:
        values = np.concatenate([*opened.blocks])
        assert (opened.rows, opened.width, opened.coords_xy) == (*values.shape, None)
    return values


def test_blocks_hold_all_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slidechat_csv, "_BLOCK_LINES", 4)
    values = np.random.default_rng(0).integers(-9, 9, (11, 3)) / 8
    lines = [",".join(map(str, row)) for row in values]
    (tmp_path / "a.1.csv").write_text("\n".join(["0,1,2", *lines[:5], "", *lines[5:], ""]))
    np.testing.assert_array_equal(read(tmp_path / "a.1.csv"), values)
    assert sources(tmp_path / "a.1.csv", "slidechat-csv")[0].slide_id == "a.1"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,label\n1,2\n", "its first line is not 0,1,2"),
        ("0,1,2\n", "has a header and no rows; leave the slide out"),
        ("0,1,2\n1,2,3\n1,x,3\n", "among rows 0 to 1: .*expected 3 numbers a line"),
        ("0,1,2\n1,2\n3,4\n", "row 0 has 2 numbers, its header 3"),
    ],
)
def test_broken_tables(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(PathPluginsError, match=message):
        read(tmp_path / "a.csv")


def test_they_become_bags_without_positions(tmp_path: Path) -> None:
    """All rows in their order, which the selectors and towers that ask for no positions read."""
    from pathplugins.data.bags import inspect_bag, read_bag
    from pathplugins.data_tools.cli import main

    values = np.random.default_rng(1).integers(-9, 9, (7, 5)) / 8
    (tmp_path / "csv").mkdir()
    lines = ["0,1,2,3,4", *(",".join(map(str, row)) for row in values)]
    (tmp_path / "csv" / "TCGA-A.csv").write_text("\n".join(lines))
    words = ["convert", "features", str(tmp_path / "csv"), "--to", "bare", "--encoder", "conch"]
    assert main([*words, "--out", str(tmp_path / "bags")]) == 0
    bag = tmp_path / "bags" / "TCGA-A.h5"
    info = inspect_bag(bag, positions=False)
    assert (info.rows, info.width, info.encoder) == (7, 5, "conch")
    read = read_bag(bag, frame_mpp=None, positions=False)
    np.testing.assert_array_equal(read.features, values)
    assert (read.coords_xy == -1).all()
