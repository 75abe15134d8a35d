"""Tables are read as they come; what a header must have is a format's own matter (see also test_wsi_csv)."""

from __future__ import annotations

from pathlib import Path

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data.formats.reading.rows import Row
from pathplugins.data.formats.reading.tables import read_table, require_columns


def test_the_separator_and_the_lines_are_found(tmp_path: Path) -> None:
    path = tmp_path / "t.tsv"
    path.write_text(
        '\tcaption\timage\r\n0\t"two\nlines, ""quoted"""\ta.jpg\r\n1\tx\r\n\t\t\r\n2\tNA\tb.jpg', newline=""
    )
    wanted = ("image", "caption")
    rows = [*read_table(path, wanted="a table", columns=wanted, check_header=require_columns(path, wanted))]
    assert [(row.number, row.cells) for row in rows if isinstance(row, Row)] == [
        (2, {"": "0", "caption": 'two\nlines, "quoted"', "image": "a.jpg"}),
        (6, {"": "2", "caption": "NA", "image": "b.jpg"}),
    ]
    assert [(row.row, row.reason) for row in rows if not isinstance(row, Row)] == [(4, "ragged row")]


def test_missing_columns_and_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("caption\nx\n")
    with pytest.raises(PathPluginsError, match=r"t\.csv lacks the columns image; it has caption; expected image"):
        [*read_table(path, wanted="a table", columns=(), check_header=require_columns(path, ("image",)))]
    with pytest.raises(PathPluginsError, match=r"u\.csv: no such file; expected a table there"):
        [*read_table(tmp_path / "u.csv", wanted="a table", columns=(), check_header=len)]
