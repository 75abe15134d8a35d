"""Answers on disk: each process has a file of its own, half a line is nothing, another run's are left alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from pathplugins.commands.predictions import append, begin, gather
from pathplugins.core.errors import PathPluginsError

SETTINGS = {"model": "a", "bits": None}
ORDER = ["z", "ü", "a"]


def test_processes_do_not_share_a_file(tmp_path: Path) -> None:
    """Appending from several nodes to one file of a network file system loses lines."""
    assert begin(tmp_path, SETTINGS, ORDER) == {}
    for rank, name in ((2, "a"), (0, "z"), (2, "ü")):
        append(tmp_path, [{"id": name, "prediction": f"of {rank}\nwith lines"}], rank=rank, world=3)
    named = {"predictions.0.jsonl", "predictions.2.jsonl", "predictions.jsonl", "settings.json"}
    assert {path.name for path in tmp_path.iterdir()} == named
    with (tmp_path / "predictions.2.jsonl").open("a") as stream:
        stream.write('{"id": "ü", "predic')
    assert [*begin(tmp_path, SETTINGS, ORDER)] == ORDER
    assert {path.name for path in tmp_path.iterdir()} == {"predictions.jsonl", "settings.json"}
    append(tmp_path, [{"id": "z", "prediction": "later"}], rank=0, world=1)
    assert gather(tmp_path, ORDER)["z"]["prediction"] == "later"
    assert (tmp_path / "predictions.jsonl").read_text(encoding="utf-8").count("\n") == 3


def test_what_cannot_be_continued(tmp_path: Path) -> None:
    begin(tmp_path, SETTINGS, ORDER)
    with pytest.raises(PathPluginsError, match=r"answers of another run: model was a, is b; bits was None, is 4; rest"):
        begin(tmp_path, {"model": "b", "bits": 4}, ORDER)
    (tmp_path / "predictions.jsonl").write_text('{"id": "a"}\n{"id": \n{"id": "z"}\n')
    with pytest.raises(PathPluginsError, match=r"predictions\.jsonl:2 is not JSON .*; remove the line to ask it again"):
        begin(tmp_path, SETTINGS, ORDER)
    (tmp_path / "settings.json").unlink()
    with pytest.raises(PathPluginsError, match=r"holds predictions\.jsonl but no settings.json; give another --out"):
        begin(tmp_path, SETTINGS, ORDER)
