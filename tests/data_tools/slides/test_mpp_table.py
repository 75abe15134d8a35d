"""Tables of the resolutions of single slides: bad rows are reported together."""

from pathlib import Path

import pytest

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.slides.mpp_table import read_mpp_table


def test_table_of_resolutions(tmp_path: Path) -> None:
    table = tmp_path / "mpp.csv"
    table.write_bytes(
        b"\xef\xbb\xbfwsi, MPP ,note\r\nTCGA-A1.8923A-91.svs,0.25,x\r\nTCGA-A2.8923A-91,0.5,\r\n"
        b"in/a/folder.TIFF,1.0,\r\nin/another/folder.tiff,1,\r\n"
    )
    assert read_mpp_table(table) == {"TCGA-A1.8923A-91": 0.25, "TCGA-A2.8923A-91": 0.5, "folder": 1.0}
    table.write_text("filename,mpp\n")
    assert read_mpp_table(table) == {}


def test_bad_rows_are_reported_together(tmp_path: Path) -> None:
    table = tmp_path / "mpp.csv"
    table.write_text("slide,mpp\na,0.25\nb,\n,0.5\nc,twenty\nd,20\na,0.5\ne\n" + "f,-1\n" * 30)
    with pytest.raises(PathPluginsError) as raised:
        read_mpp_table(table)
    message = str(raised.value)
    assert message.startswith(f"{table}: 36 of 37 rows")
    for part in (
        "line 3: mpp of b is ''",
        "line 4: names no slide",
        "line 5",
        "'20', not",
        "line 7: a is 0.5",
        "line 8",
    ):
        assert part in message
    assert "and 16 more" in message
    assert "line 30" not in message


@pytest.mark.parametrize("text", ["", "slide,magnification\na,20\n", "0.25,a\n"])
def test_a_table_without_the_columns_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "mpp.csv").write_text(text)
    with pytest.raises(PathPluginsError, match=r"mpp\.csv: wanted a column mpp and one of slide, "):
        read_mpp_table(tmp_path / "mpp.csv")


def test_a_table_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "mpp.csv").write_bytes(b"slide,mpp\n\xff\xfe\n")
    for path in (tmp_path / "mpp.csv", tmp_path / "absent.csv"):
        with pytest.raises(PathPluginsError, match=path.name):
            read_mpp_table(path)
