"""``pathplugins systems``."""

import json

import pytest

from pathplugins.cli import main
from pathplugins.published.systems import SYSTEMS


@pytest.mark.parametrize("form", [[], ["--markdown"], ["--json"]], ids=str)
def test_every_system_is_printed_with_its_files(form: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["systems", *form]) == 0
    said = capsys.readouterr().out
    for system in SYSTEMS:
        assert system.name in said
        assert system.paper.url in said
        assert all(name in said for name in (*system.llamafactory, *system.xtuner))
        assert system.not_compared in said


def test_markdown_is_one_table_and_json_a_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["systems", "--markdown"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(SYSTEMS) + 2
    assert len({line.count("|") for line in lines}) == 1
    assert main(["systems", "--json"]) == 0
    assert [row["name"] for row in json.loads(capsys.readouterr().out)] == [system.name for system in SYSTEMS]
