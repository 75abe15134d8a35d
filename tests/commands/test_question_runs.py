"""Runs of questions: what is missing is said; sharing among processes is tested with `evaluate`."""

from __future__ import annotations

from pathlib import Path

import pytest

from pathplugins.commands.predictions import append, begin
from pathplugins.commands.question_runs import Processes, answered, processes, versions
from pathplugins.commands.questions import Prepared
from pathplugins.core.errors import PathPluginsError


def test_missing_answers_are_counted(tmp_path: Path) -> None:
    prepared = Prepared({}, ["a", "b", "c"], [], 0, [], {})
    begin(tmp_path, {}, prepared.ids)
    append(tmp_path, [{"id": "b", "prediction": "x"}, {"id": "a", "prediction": "y"}], rank=0, world=1)
    with pytest.raises(PathPluginsError, match=r": 1 answers are missing; run the command again"):
        answered(tmp_path, prepared)
    append(tmp_path, [{"id": "c", "prediction": "z"}], rank=1, world=2)
    assert [line["prediction"] for line in answered(tmp_path, prepared)] == ["y", "x", "z"]


def test_one_process_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    with processes() as here:
        assert here == Processes(0, 1)
        assert here.shared(lambda: [1]) == [1]
    assert {*versions()} == {"pathplugins", "torch", "transformers"}
