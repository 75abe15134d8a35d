"""Runs over many slides: whatever happens to one slide or process, nothing is lost and the same command goes on."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pathplugins.data.bags import check_bag
from pathplugins.data_tools.engine.locks import Held, holder_of, holding
from pathplugins.data_tools.engine.state import Result, StateFolder

pytest.importorskip("openslide")
pytest.importorskip("timm")

Pathdata = Callable[..., tuple[int, str]]
Start = Callable[..., subprocess.Popen[str]]
RANDOM = ("--encoder", "test_vit", "--random-weights", 0, "--device", "cpu")
SMALL = ("--patch-size", 160, *RANDOM)
SLOW = ("--patch-size", 64, "--overlap", 48, "--batch-size", 8, *RANDOM)
"""Hundreds of patches a slide: long enough to be caught at work."""


@pytest.fixture(scope="module")
def slides(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four slides with tissue."""
    from pathplugins.data_tools.slides.demo import write_demo_slide

    folder = tmp_path_factory.mktemp("many")
    for seed in range(4):
        write_demo_slide(folder / f"s{seed}.svs", (801 + 64 * seed, 703), seed=seed, kind=seed)
    return folder


@pytest.fixture
def start() -> Iterator[Start]:
    """Start ``pathdata`` as a process of its own."""
    started: list[subprocess.Popen[str]] = []

    def run(*arguments: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "pathplugins.data_tools", *map(str, arguments)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def bags(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "bags").glob("*.h5"))}


def temporaries(folder: Path) -> list[Path]:
    return list(folder.rglob(".*.tmp"))


def until(condition: Callable[[], object], seconds: float = 120) -> object:
    """What ``condition`` gives once it gives something."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError("it did not come to that in time")


def worker_at_work(folder: Path) -> int | None:
    """The process that writes a bag."""
    if not (folder / "bags").is_dir() or not list((folder / "bags").glob(".*.tmp")):
        return None
    holders = [holder_of(path) for path in (folder / "locks").glob("*.lock")]
    return next((holder.pid for holder in holders if holder and holder.pid), None)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    path = tmp_path / "locks" / "a.lock"
    code = (
        "import sys, time; from pathlib import Path; from pathplugins.data_tools.engine.locks import holding\n"
        "with holding(Path(sys.argv[1])): print('held', flush=True); time.sleep(600)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    with pytest.raises(Held, match=f"process {process.pid} on "), holding(path):
        pass
    assert holder_of(path).pid == process.pid
    process.kill()
    process.wait()
    assert holder_of(path) is None
    with holding(path):
        assert holder_of(path).pid == os.getpid()
        with pytest.raises(Held), holding(path):
            pass
    assert not path.exists()


def test_processes_write_the_bytes_one_process_writes(pathdata: Pathdata, slides: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    code, said = pathdata("run", slides, "--out", one, *SMALL)
    assert code == 0, said
    code, said = pathdata("run", slides, "--out", two, *SMALL, "--workers", 2)
    assert code == 0, said
    assert bags(one) == bags(two)
    assert len(bags(one)) == 4
    assert not temporaries(one)
    assert not list((two / "locks").iterdir())
    assert not (one / "patches").exists()
    code, said = pathdata("run", slides, "--out", two, *SMALL)
    assert said.count("(there already)") == 4


def test_status_json_and_dry_run(
    pathdata: Pathdata, slides: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from pathplugins.data_tools.cli import main

    mixed, work = tmp_path / "slides", tmp_path / "work"
    mixed.mkdir()
    whole = (slides / "s0.svs").read_bytes()
    (mixed / "cut.svs").write_bytes(whole[: len(whole) // 3])
    (mixed / "good.svs").symlink_to(slides / "s1.svs")
    words = ["run", mixed, "--out", work, *SMALL]
    code, said = pathdata(*words, "--dry-run")
    assert code == 0
    assert "cut: to do\ngood: to do\n2 of 2 slides would be done; nothing was written" in said
    assert not (work / "state").exists()
    capfd.readouterr()
    assert main([*map(str, words), "--json"]) == 1
    summary = json.loads(capfd.readouterr().out)
    assert (summary["done"], summary["skipped"], list(summary["failed"])) == (1, 0, ["cut"])
    assert main(["status", str(work), "--json"]) == 1
    (status,) = json.loads(capfd.readouterr().out)
    rows = check_bag(work / "bags" / "good.h5").rows
    assert (status["command"], status["slides"], status["done"], status["left"]) == ("run", 2, 1, 0)
    assert status["patches"] == rows
    assert status["patches_per_second"] > 0
    assert "cut.svs" in status["failed"]["cut"]
    assert main(["status", str(work)]) == 1
    assert "run: 1 of 2 slides done, 1 failed, 0 left" in capfd.readouterr().out
    assert (work / "errors" / "cut.txt").read_text().startswith("Traceback")
    code, said = pathdata(*words, "--dry-run")
    assert "good: done" in said
    assert "cut: failed before: " in said
    (mixed / "cut.svs").unlink()
    (mixed / "cut.svs").symlink_to(slides / "s0.svs")
    assert pathdata(*words)[0] == 0
    assert pathdata("status", work)[0] == 0
    code, said = pathdata("status", tmp_path)
    assert code == 2
    assert "nothing was started here" in said


def test_a_worker_that_is_killed_costs_its_slide_alone(
    start: Start, pathdata: Pathdata, slides: Path, tmp_path: Path
) -> None:
    process = start("run", slides, "--out", tmp_path, *SLOW, "--workers", 2)
    os.kill(until(lambda: worker_at_work(tmp_path)), signal.SIGKILL)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 1
    assert "1 of 4 slides failed" in said
    assert "was killed by signal 9; memory may have run out: try fewer --workers" in said
    assert len(bags(tmp_path)) == 3
    code, said = pathdata("run", slides, "--out", tmp_path, *SLOW)
    assert code == 0, said
    assert len(bags(tmp_path)) == 4
    assert not temporaries(tmp_path)


def test_killed_at_work_and_started_again(start: Start, pathdata: Pathdata, slides: Path, tmp_path: Path) -> None:
    """Once with its workers as orphans, once as a batch system ends a job."""
    undisturbed, work = tmp_path / "undisturbed", tmp_path / "work"
    process = start("run", slides, "--out", work, *SLOW, "--workers", 2)
    worker = until(lambda: worker_at_work(work))
    process.kill()
    until(lambda: not is_running(worker))  # an orphan would hold its slide for as long as it takes
    assert temporaries(work)
    process = start("run", slides, "--out", work, *SLOW)
    until(lambda: worker_at_work(work) == process.pid)
    process.terminate()
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "stopped; nothing is half-written, run the same command to continue" in said
    assert not temporaries(work)
    assert pathdata("run", slides, "--out", work, *SLOW)[0] == 0
    assert pathdata("run", slides, "--out", undisturbed, *SLOW)[0] == 0
    assert bags(work) == bags(undisturbed)
    assert len(bags(work)) == 4


def test_two_runs_on_one_folder_share_the_work(start: Start, pathdata: Pathdata, slides: Path, tmp_path: Path) -> None:
    other = start("run", slides, "--out", tmp_path, *SLOW)
    until(lambda: worker_at_work(tmp_path))
    code, said = pathdata("run", slides, "--out", tmp_path, *SLOW)
    _, said_there = other.communicate(timeout=300)
    assert (code, other.returncode) == (0, 0), said + said_there
    assert len(bags(tmp_path)) == 4
    assert f": process {other.pid} on " in said
    assert "is doing it; waiting for that" in said
    lines = [*said.splitlines(), *said_there.splitlines()]
    encoded = [line for line in lines if line.startswith("[") and "already" not in line]
    assert len(encoded) == 4


def test_a_full_disk_stops_the_run_and_loses_nothing(pathdata: Pathdata, slides: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    assert pathdata("run", slides / "s0.svs", "--out", work, *SMALL)[0] == 0
    (small := work / "bags" / "small").mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=12k", "tmpfs", str(small)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small disk cannot be mounted here")
    try:
        assert pathdata("patch", slides, "--out", work, "--patch-size", 160)[0] == 0
        code, said = pathdata("features", work, *RANDOM, "--out", small)
        assert code == 1
        assert "the disk is full; make room and run the same command" in said
        assert "No space left on device" in said
        assert [path.name for path in small.iterdir()] == []
    finally:
        subprocess.run(["umount", str(small)], check=True)
    assert pathdata("features", work, *RANDOM, "--out", small)[0] == 0
    assert len(list(small.glob("*.h5"))) == 4


def test_nothing_starts_without_weights(pathdata: Pathdata, slides: Path, tmp_path: Path) -> None:
    code, said = pathdata("run", slides, "--out", tmp_path, "--encoder", "gigapath", "--workers", 2, "--device", "cpu")
    assert code == 2
    assert "no weights given" in said
    assert not (tmp_path / "state").exists()
    code, said = pathdata("run", slides, "--out", tmp_path, *SMALL, "--workers", 0)
    assert code == 2
    assert "--workers must be at least 1, got 0" in said


def test_a_damaged_state_file_is_named(tmp_path: Path) -> None:
    state = StateFolder(tmp_path, "run")
    state.begin(["a"])
    state.end(Result(slide_id="a", status="done", patches=3, seconds=1.5))
    path = tmp_path / "state" / "run" / "a.json"
    assert json.loads(path.read_text())["patches"] == 3
    path.write_text("{")
    with pytest.raises(ValueError, match=r"a\.json is not what pathdata writes there .*; delete it"):
        state.status()


def test_ray_on_two_nodes_writes_the_same_bytes(pathdata: Pathdata, slides: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    import ray

    try:
        cluster.add_node(num_cpus=1)
        words = ("run", slides, *SMALL, "--engine", "ray", "--address", cluster.address, "--workers", 2)
        code, said = pathdata(*words, "--out", tmp_path / "ray")
        assert code == 0, said
        workers = {json.loads(p.read_text())["pid"] for p in (tmp_path / "ray" / "state" / "run").glob("*.json")}
        assert len(workers) == 2
    finally:
        ray.shutdown()
        cluster.shutdown()
    assert pathdata("run", slides, "--out", tmp_path / "here", *SMALL)[0] == 0  # the bytes of processes, see above
    assert bags(tmp_path / "ray") == bags(tmp_path / "here")
    assert len(bags(tmp_path / "ray")) == 4


def test_no_ray_cluster_at_an_address(pathdata: Pathdata, slides: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    code, said = pathdata("run", slides, "--out", tmp_path, *SMALL, "--engine", "ray", "--address", "auto")
    assert code == 2
    assert "no Ray cluster there" in said
