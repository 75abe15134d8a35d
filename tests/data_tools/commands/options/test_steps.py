"""Steps of a command are loaded one at a time."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pytest

from pathplugins.data_tools.commands.options.steps import add_steps

MODULE = """
def add_options(sub): sub.add_argument("--n", type=int)
def run(args): return args.n
"""


def test_only_the_step_that_is_called_for_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "made_up_steps"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "do_this.py").write_text(MODULE)
    (package / "broken.py").write_text("raise ImportError")
    monkeypatch.syspath_prepend(tmp_path)
    parser = argparse.ArgumentParser()
    add_steps(parser, {"do-this": "help", "broken": "help"}, "made_up_steps")
    args = parser.parse_args(["do-this", "--n", "7"])
    assert args.run_step(args) == 7
    assert args.step == "do-this"
    assert "made_up_steps.broken" not in sys.modules
