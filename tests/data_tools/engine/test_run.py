"""Runs over many slides: whatever happens to one process, no slide is lost and the same command continues."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from slide_runs import RANDOM, SLOW, SMALL, bags, is_running, temporaries, until, worker_at_work

pytest.importorskip("openslide")
pytest.importorskip("timm")

Pathdata = Callable[..., tuple[int, str]]
Start = Callable[..., subprocess.Popen[str]]


def test_killed_at_work_and_started_again(start: Start, pathdata: Pathdata, many_slides: Path, tmp_path: Path) -> None:
    """Once with its workers as orphans, once as a batch system ends a job."""
    undisturbed, work = tmp_path / "undisturbed", tmp_path / "work"
    process = start("run", many_slides, "--out", work, *SLOW, "--workers", 2)
    worker = until(lambda: worker_at_work(work))
    process.kill()
    until(lambda: not is_running(worker))  # an orphan would hold its slide for as long as it takes
    assert temporaries(work)
    process = start("run", many_slides, "--out", work, *SLOW)
    until(lambda: worker_at_work(work) == process.pid)
    process.terminate()
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "stopped; nothing is half-written, run the same command to continue" in said
    assert not temporaries(work)
    assert pathdata("run", many_slides, "--out", work, *SLOW)[0] == 0
    assert pathdata("run", many_slides, "--out", undisturbed, *SLOW)[0] == 0
    assert bags(work) == bags(undisturbed)
    assert len(bags(work)) == 4


def test_two_runs_on_one_folder_share_the_work(
    start: Start, pathdata: Pathdata, many_slides: Path, tmp_path: Path
) -> None:
    other = start("run", many_slides, "--out", tmp_path, *SLOW)
    until(lambda: worker_at_work(tmp_path))
    code, said = pathdata("run", many_slides, "--out", tmp_path, *SLOW)
    _, said_there = other.communicate(timeout=600)
    assert (code, other.returncode) == (0, 0), said + said_there
    assert len(bags(tmp_path)) == 4
    assert f": process {other.pid} on " in said
    assert "is doing it; waiting for it to end" in said
    lines = [*said.splitlines(), *said_there.splitlines()]
    encoded = [line for line in lines if line.startswith("[") and "already" not in line]
    assert len(encoded) == 4


def test_a_full_disk_stops_the_run_and_loses_nothing(pathdata: Pathdata, many_slides: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    assert pathdata("run", many_slides / "s0.svs", "--out", work, *SMALL)[0] == 0
    (small := work / "bags" / "small").mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=12k", "tmpfs", str(small)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small disk cannot be mounted here")
    try:
        assert pathdata("patch", many_slides, "--out", work, "--patch-size", 160)[0] == 0
        code, said = pathdata("features", work, *RANDOM, "--out", small)
        assert code == 1
        assert f"{small}: the disk is full; make room there and run the same" in said
        assert "Traceback" not in said
        assert [path.name for path in small.iterdir()] == []
    finally:
        subprocess.run(["umount", str(small)], check=True)
    assert pathdata("features", work, *RANDOM, "--out", small)[0] == 0
    assert len(list(small.glob("*.h5"))) == 4
