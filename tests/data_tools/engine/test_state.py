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


def test_a_clock_that_was_set_back_gives_no_rate_and_no_time_to_go(tmp_path: Path) -> None:
    state = StateFolder(tmp_path, "run")
    state.begin(["a", "b"])
    state.end(Result(slide_id="a", status="done", patches=300, seconds=0.001))
    started, record = tmp_path / "state" / "run.json", tmp_path / "state" / "run" / "a.json"
    wanted, done = json.loads(started.read_text()), json.loads(record.read_text())
    record.write_text(json.dumps({**done, "seconds": 60.0, "finished": wanted["started"] + 100}))
    assert state.status().patches_per_second == pytest.approx(3, rel=0.01)
    assert state.status().seconds_to_go == pytest.approx(100, rel=0.01)
    for late in (-7200, 0, 1):
        record.write_text(json.dumps({**done, "seconds": 60.0, "finished": wanted["started"] + late}))
        status = state.status()
        assert (status.patches_per_second, status.seconds_to_go, status.left) == (None, None, 1)
