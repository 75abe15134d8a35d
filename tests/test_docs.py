from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from pathplugins import __version__

GENERATE = Path(__file__).resolve().parent.parent / "docs" / "generate.py"
spec = importlib.util.spec_from_file_location("generate", GENERATE)
assert spec is not None
assert spec.loader is not None
generate = importlib.util.module_from_spec(spec)
spec.loader.exec_module(generate)


def test_a_block_becomes_the_output_of_its_command_and_nothing_else_changes() -> None:
    page = "before\n<!-- begin: pathplugins --version -->\nold\n<!-- end -->\nafter\n"
    block = f"```text\npathplugins {__version__}\n```\n"
    new = generate.renewed(page)
    assert new == f"before\n<!-- begin: pathplugins --version -->\n{block}<!-- end -->\nafter\n"
    assert generate.renewed(new) == new


def test_only_our_own_commands_are_run() -> None:
    with pytest.raises(ValueError, match="names 'rm'; it must start with one of pathplugins, pathdata"):
        generate.renewed("<!-- begin: rm -r x -->\n<!-- end -->\n")


def test_a_command_that_prints_nothing_is_no_block(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="printed nothing"):  # the progress of a command is not what it prints
        generate.output_of(f"pathdata demo-slide {tmp_path / 'x.svs'} --size 512x512")


def test_pages_are_up_to_date(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["generate.py", "--check"])
    assert generate.main() == 0, capsys.readouterr().out
