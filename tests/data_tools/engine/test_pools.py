"""Processes of this machine write the bytes that one process writes, and one that dies costs its slide alone."""

import multiprocessing
import os
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from slide_runs import SLOW, SMALL, bags, temporaries, until, worker_at_work

from pathplugins.core.errors import PathPluginsError
from pathplugins.data_tools.engine.jobs import Recipe, Steps
from pathplugins.data_tools.engine.pools import _serve

pytest.importorskip("openslide")
pytest.importorskip("timm")

Pathdata = Callable[..., tuple[int, str]]
Start = Callable[..., subprocess.Popen[str]]


def test_processes_write_the_bytes_one_process_writes(pathdata: Pathdata, many_slides: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    code, said = pathdata("run", many_slides, "--out", one, *SMALL)
    assert code == 0, said
    code, said = pathdata("run", many_slides, "--out", two, *SMALL, "--workers", 2)
    assert code == 0, said
    assert bags(one) == bags(two)
    assert len(bags(one)) == 4
    assert not temporaries(one)
    assert not list((two / "locks").iterdir())
    assert not (one / "patches").exists()
    code, said = pathdata("run", many_slides, "--out", two, *SMALL)
    assert said.count("(exists already)") == 4


def test_a_worker_that_is_killed_costs_its_slide_alone(
    start: Start, pathdata: Pathdata, many_slides: Path, tmp_path: Path
) -> None:
    process = start("run", many_slides, "--out", tmp_path, *SLOW, "--workers", 2)
    os.kill(until(lambda: worker_at_work(tmp_path)), signal.SIGKILL)
    _, said = process.communicate(timeout=600)
    assert process.returncode == 1
    assert "1 of 4 slides failed" in said
    assert "was killed by signal 9; memory may have run out: try fewer --workers" in said
    assert len(bags(tmp_path)) == 3
    code, said = pathdata("run", many_slides, "--out", tmp_path, *SLOW)
    assert code == 0, said
    assert len(bags(tmp_path)) == 4
    assert not temporaries(tmp_path)


@dataclass(frozen=True, kw_only=True)
class Refused(Recipe):
    """Cannot be opened."""

    def open(self, device: str | None) -> Steps:
        raise PathPluginsError("no weights given")


def test_a_worker_whose_parent_has_stopped_ends_without_a_traceback(tmp_path: Path) -> None:
    """As the second one does when all lack the same weights: the parent stops at the first."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    parent, child = multiprocessing.Pipe()
    parent.close()
    try:
        _serve(child, Refused(command="run", work=tmp_path), None)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
