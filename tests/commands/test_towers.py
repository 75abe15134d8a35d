"""``pathplugins towers``."""

import json

import pytest
import yaml

from pathplugins.cli import main
from pathplugins.models.towers import TOWERS
from pathplugins.models.towers.eyes import eyes


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["towers", *words]) == 0
    return capsys.readouterr().out


def test_every_tower_and_eye_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    towers, _, table = said(capsys).partition("\n\n")
    assert {*TOWERS} <= {line.split()[0] for line in towers.splitlines()}
    lines = table.splitlines()
    for eye in eyes():
        line = next(line for line in lines if line.split()[:1] == [eye.name])
        assert line.split()[1:4] == [str(eye.tokens), str(eye.width), str(eye.image_px)]
        assert eye.licence in line
        assert line.endswith(eye.access)


def test_markdown_is_one_table_and_json_holds_both(capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(capsys, "--markdown").splitlines()
    assert len(lines) == len(eyes()) + 2
    assert len({line.count("|") for line in lines}) == 1
    told = json.loads(said(capsys, "--json"))
    assert [row["name"] for row in told["eyes"]] == [eye.name for eye in eyes()]
    assert {row["name"] for row in told["towers"]} == {*TOWERS}
    assert json.loads(said(capsys, "uni", "--json"))["tokens"] == 196


@pytest.mark.parametrize("eye", eyes(), ids=lambda eye: eye.name)
def test_the_lines_of_an_eye_are_yaml(eye: object, capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, eye.name)
    told, _, keys = text.partition("In a YAML, or in the parts of an XTuner config:\n")
    assert yaml.safe_load(keys) == eye.keys
    assert eye.note in told
    assert (eye.fetch or eye.source) in told
    assert ("accept the terms" in told) == (eye.access == "gated")


def test_an_unknown_eye_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["towers", "conch1.5"]) == 2
    assert "unknown eye 'conch1.5'. Did you mean 'conch-v1.5'?" in capsys.readouterr().err
