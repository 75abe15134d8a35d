"""``pathdata encoders``: text for a terminal and a pipe, JSON, Markdown."""

import json

import pytest

from pathplugins.data_tools.cli import main
from pathplugins.data_tools.commands.encoders import lines
from pathplugins.published.encoders import CARDS


def test_table_fits_its_place() -> None:
    rows = [("name", "width", "source"), ("abc", "7", "https://a.long.address/of/it")]
    assert lines(rows, None) == ["name  width  source", "abc   7      https://a.long.address/of/it"]
    assert lines(rows, 41) == lines(rows, None)
    assert lines(rows, 40) == ["name  width", "    source", "abc   7", "    https://a.long.address/of/it"]


def test_the_list_is_whole_in_a_pipe_and_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["encoders"]) == 0
    table = capsys.readouterr().out
    assert all(card.name in table and card.source in table for card in CARDS)
    assert main(["encoders", "--json"]) == 0
    records = json.loads(capsys.readouterr().out)
    assert [record["name"] for record in records] == [card.name for card in CARDS]
    assert records[0]["preprocess"]["crop_px"] == 224
    assert all(record["checked"] for record in records)
