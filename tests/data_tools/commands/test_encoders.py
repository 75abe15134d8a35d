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


def test_markdown_is_one_table(capsys: pytest.CaptureFixture[str]) -> None:
    for words, rows in (([], len(CARDS)), (["--clip"], 2)):
        assert main(["encoders", "--markdown", *words]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == rows + 2
        assert len({line.count("|") for line in lines}) == 1


def test_clip_checkpoints_are_listed_instead(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["encoders", "--clip"]) == 0
    text = capsys.readouterr().out
    assert "pathgen-clip-l (ViT-L-14-336)" in text
    assert "gigapath" not in text
    assert main(["encoders", "--clip", "--json"]) == 0
    assert [record["name"] for record in json.loads(capsys.readouterr().out)] == ["pathgen-clip", "pathgen-clip-l"]
    with pytest.raises(SystemExit):
        main(["encoders", "--json", "--markdown"])
