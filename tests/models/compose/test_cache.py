"""Directories appear whole or not at all, and once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pathplugins.models.compose.cache import cache_dir, cached, new_directory
from pathplugins.models.compose.spec import ComposeSpec

ROOT = Path(__file__).resolve().parents[3]

PROCESSES = """
import json, logging, os, signal, sys
from pathplugins.models.compose import compose as module
from pathplugins.models.compose.spec import ComposeSpec
logging.basicConfig(level=logging.INFO, stream=sys.stdout)
spec = ComposeSpec(**json.loads(sys.argv[1]))

def started(task):
    child = os.fork()
    if child == 0:
        task()
        os._exit(0)
    return child

def ended(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

def killed():
    module.save_file = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)  # the LLM is linked by then
    module.composed(spec)

assert ended(started(killed)) == -signal.SIGKILL
print("left", json.dumps([name for name in os.listdir(sys.argv[2]) if not name.endswith(".lock")]), flush=True)

start, go = os.pipe()

def together():
    os.close(go)
    os.read(start, 1)  # all begin when the parent closes its end
    os.write(1, f"path {module.composed(spec)}\\n".encode())  # print may write in pieces, and these mix

children = [started(together) for _ in range(4)]
os.close(go)
codes = [ended(child) for child in children]
assert codes == [0] * 4, codes
"""


def test_four_processes_at_once_compose_once_also_after_one_was_killed(
    make_spec: Callable[..., ComposeSpec], tmp_path: Path
) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PATHPLUGINS_CACHE": str(tmp_path), "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-c", PROCESSES, json.dumps(vars(make_spec())), str(tmp_path)]
    run = subprocess.run(words, capture_output=True, text=True, env=environment, check=False)
    assert run.returncode == 0, run.stderr
    lines = run.stdout.splitlines()
    (left,) = (json.loads(line.removeprefix("left ")) for line in lines if line.startswith("left "))
    assert [name[0] for name in left] == ["."], left  # hidden: nobody takes it for a finished one
    paths = [line.removeprefix("path ") for line in lines if line.startswith("path ")]
    assert len(paths) == 4, run.stdout + run.stderr
    assert sum("composing" in line for line in lines) == 2, lines  # the killed one, and one of the four
    assert [str(path) for path in tmp_path.iterdir() if path.is_dir()] == list(set(paths))
    assert (Path(paths[0]) / "config.json").is_file()


def test_the_cache_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATHPLUGINS_CACHE", str(tmp_path / "here"))
    assert cache_dir() == tmp_path / "here"
    monkeypatch.setenv("PATHPLUGINS_CACHE", "")
    assert cache_dir() == Path.home() / ".cache" / "pathplugins"


def test_a_failure_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATHPLUGINS_CACHE", str(tmp_path))

    def fail(out: Path) -> None:
        (out / "config.json").write_text("{}")
        raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        cached("entry", fail)
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == []


def test_a_finished_entry_is_taken_without_a_lock(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A cache filled by somebody else may be read-only."""
    monkeypatch.setenv("PATHPLUGINS_CACHE", str(tmp_path))
    (tmp_path / "entry").mkdir()
    (tmp_path / "entry" / "config.json").write_text("{}")
    assert cached("entry", lambda out: pytest.fail(f"filled {out}")) == tmp_path / "entry"
    assert [path.name for path in tmp_path.iterdir()] == ["entry"]


def test_an_unfinished_entry_is_filled_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATHPLUGINS_CACHE", str(tmp_path))
    (tmp_path / "entry").mkdir()
    (tmp_path / "entry" / "half").write_text("")
    out = cached("entry", lambda out: (out / "config.json").write_text("{}"))
    assert [path.name for path in out.iterdir()] == ["config.json"]


def test_a_new_directory_takes_no_place_of_a_full_one(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("")
    with pytest.raises(OSError, match="out"), new_directory(tmp_path / "out") as beside:
        (beside / "theirs").write_text("")
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "mine"]
