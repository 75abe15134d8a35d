from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import pytest

from pathplugins import __version__, cli
from pathplugins.commands import configs
from pathplugins.core.errors import MissingDependencyError, PathPluginsError

ROOT = Path(cli.__file__).resolve().parent.parent


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        cli.main(["--version"])
    assert capsys.readouterr().out == f"pathplugins {__version__}\n"


def test_help_names_every_command_and_imports_none() -> None:
    code = (
        "import sys; from pathplugins import cli\n"
        "text = cli.build_parser(None).format_help()\n"
        "print([name for name in cli.COMMANDS if name not in text])\n"
        "print([module for module, _ in cli.COMMANDS.values() if module in sys.modules])\n"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.stdout == "[]\n[]\n", run.stderr


def test_help_is_quick_because_it_imports_little() -> None:
    """Both programs; what they do not import cannot slow them down (`benchmarks/startup.py` measures the time)."""
    for module in ("pathplugins.cli", "pathplugins.data_tools.cli"):
        code = (
            f"import sys; from {module} import main\n"
            "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
            "names = {'numpy', 'torch', 'h5py', 'PIL', 'transformers', 'rich', 'importlib.metadata', 'dataclasses'}\n"
            "print(sorted(names & set(sys.modules)))\n"
        )
        run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
        assert run.stdout.splitlines()[-1] == "[]", run.stdout[-300:] + run.stderr


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_shows_its_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        cli.main([name, "--help"])
    assert f"usage: pathplugins {name}" in capsys.readouterr().out


def test_unknown_command_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main(["docter"])
    told = capsys.readouterr().err
    assert told.startswith("pathplugins: error: unknown command 'docter'. Did you mean doctor? Known: doctor, configs,")
    assert told.count("\n") == 1


def test_configs_list_prints_names(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["configs", "list"]) == 0
    assert capsys.readouterr().out.split() == list(configs.available())


@pytest.mark.parametrize("error", [PathPluginsError("no bag at x.h5"), MissingDependencyError("no bag at x.h5")])
def test_errors_of_the_user_are_one_line(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(args: argparse.Namespace) -> int:
        raise error

    monkeypatch.setattr(configs, "run", fail)
    assert cli.main(["configs", "list"]) == 2
    assert capsys.readouterr().err == "error: no bag at x.h5\n"


def test_other_errors_keep_their_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(configs, "run", lambda args: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        cli.main(["configs", "list"])
