"""Steps of a demo: only a demo's own folder is emptied, and a command that fails says why."""

from __future__ import annotations

from pathlib import Path

import pytest

from pathplugins.commands.demo.steps import MARK, clear, command
from pathplugins.core.errors import PathPluginsError


def test_only_an_earlier_demo_is_removed(tmp_path: Path) -> None:
    clear(tmp_path / "demo")
    (tmp_path / "demo" / "work").mkdir()
    clear(tmp_path / "demo")
    assert [path.name for path in (tmp_path / "demo").iterdir()] == [MARK]
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.md").touch()
    with pytest.raises(PathPluginsError, match="holds something that is not a demo; name another folder with --out"):
        clear(tmp_path / "thesis")
    assert (tmp_path / "thesis" / "chapter.md").exists()


def test_a_command_is_shown_and_its_log_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = command(tmp_path, "python", "-c", "print('a b')")
    assert told == "a b\n"
    assert capsys.readouterr().out == "$ python -c 'print('\"'\"'a b'\"'\"')'\n"
    assert len([*(tmp_path / "logs").iterdir()]) == 1
    command(tmp_path, "python", "-c", "pass", quiet=True)
    assert capsys.readouterr().out == ""


def test_a_command_that_fails_shows_the_end_of_its_log(tmp_path: Path) -> None:
    with pytest.raises(PathPluginsError) as error:
        command(tmp_path, "python", "-c", "[print('line', n) for n in range(40)], exit(3)", quiet=True)
    first, *tail = str(error.value).splitlines()
    assert first.startswith(f"python -c ended with exit code 3; all of it is in {tmp_path / 'logs'}")
    assert (tail[0], tail[-1]) == ("line 15", "line 39")
