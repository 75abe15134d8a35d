"""The state of a work folder: results of slides, and damaged files."""

import json
from pathlib import Path

import pytest

from pathplugins.data_tools.engine.state import Result, StateFolder


def test_a_damaged_state_file_is_named(tmp_path: Path) -> None:
    state = StateFolder(tmp_path, "run")
    state.begin(["a"])
    state.end(Result(slide_id="a", status="done", patches=3, seconds=1.5))
    path = tmp_path / "state" / "run" / "a.json"
    assert json.loads(path.read_text())["patches"] == 3
    path.write_text("{")
    with pytest.raises(ValueError, match=r"a\.json is damaged, or no file of pathdata .*; delete it"):
        state.status()
