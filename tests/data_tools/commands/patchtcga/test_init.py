"""``pathdata patchtcga``: every step has its help."""

from __future__ import annotations

import pytest

from pathplugins.data_tools.cli import main
from pathplugins.data_tools.commands.patchtcga import STEPS


@pytest.mark.parametrize("step", STEPS)
def test_every_step_has_its_help(step: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(["patchtcga", step, "--help"])
    said = capsys.readouterr().out
    assert f"pathdata patchtcga {step}" in said
    assert len(said.splitlines()) > 5, said
