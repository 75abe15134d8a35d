"""``pathdata pathgen``: its steps, each loaded only when it is called for."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pathplugins.data_tools.cli import main
from pathplugins.data_tools.commands.pathgen import STEPS


@pytest.mark.parametrize("step", STEPS)
def test_every_step_has_its_help(step: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["pathgen", step, "--help"])
    said = capsys.readouterr().out
    assert f"pathdata pathgen {step}" in said
    assert len(said.splitlines()) > 5, said


def test_an_error_names_the_step(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pathgen", "manifest", "not there.json", "--out", "manifest.txt"]) == 2
    said = capsys.readouterr().err
    assert "pathdata pathgen manifest: error: not there.json" in said.replace("\n", " ")


def test_the_list_of_steps_loads_none_of_them() -> None:
    code = (
        "import sys; from pathplugins.data_tools.cli import main\n"
        "try: main(['pathgen', '--help'])\n"
        "except SystemExit: print([m for m in sys.modules if '.commands.pathgen.' in m or m in ('torch', 'numpy')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
