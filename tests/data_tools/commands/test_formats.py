"""`pathdata formats` prints every row, for readers, programs and documents."""

import json

import pytest

from pathplugins.data_tools.cli import main
from pathplugins.data_tools.slides.readers.table import FORMATS


@pytest.mark.parametrize("form", [[], ["--json"], ["--markdown"]], ids=str)
def test_all_formats_are_listed(capsys: pytest.CaptureFixture[str], form: list[str]) -> None:
    assert main(["formats", *form]) == 0
    out = capsys.readouterr().out
    for row in FORMATS:
        assert row.name in out
        assert row.limits in out
    if form == ["--json"]:
        assert [row["readers"] for row in json.loads(out)] == [list(row.readers) for row in FORMATS]
