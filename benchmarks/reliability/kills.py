"""Killing the data tools at random moments: the output after the same command is that of an undisturbed run.

Run from the repository root: ``python -m benchmarks.reliability.kills [--kills N] [--seed N] [--only WORD]``.

Each job of `JOBS` runs once undisturbed. Then, for every kill, it starts in a new folder, all its processes get SIGKILL
at a moment drawn from the time that the undisturbed run took, and the same command runs to its end. Every file that the
job is for must equal the undisturbed one byte for byte, and nothing half-written may be left. Exit code 1 otherwise.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from pathplugins.data_tools.slides.demo import KINDS, write_demo_slide

sys.path.append(str(Path(__file__).resolve().parents[2] / "tests" / "fixtures"))
from chat_server import ChatServer, serving  # a server that answers as a function of what is asked

ENCODER = ("--encoder", "test_vit", "--random-weights", "0", "--device", "cpu", "--batch-size", "8")
NOTES = ("state", "locks", "errors")
"""Folders that hold what a run notes for itself: times, processes."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """A command line, the folder or file that it writes aside."""

    name: str
    words: Callable[[Path], Sequence[object]]
    """``pathdata`` words for an output in the given new folder."""
    before: Sequence[object] = ()
    """A command that has run in the folder before, undisturbed."""


def main() -> int:
    """Print a line for each job; 1 if anything was lost, left over or different."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="jobs whose name has this word")
    options = parser.parse_args()
    wrong = 0
    with tempfile.TemporaryDirectory() as folder, serving() as server:
        for job in jobs(Path(folder), server):
            if options.only in job.name:
                wrong += disturb(job, Path(folder, "runs"), options.kills, random.Random(options.seed))
    return int(wrong > 0)


def jobs(folder: Path, server: ChatServer) -> list[Job]:
    """Make the inputs of all jobs, and return these."""
    slides, cut = folder / "slides", folder / "cut"
    for number in range(3):
        write_demo_slide(slides / f"s{number}.svs", (1400, 1100), seed=number, kind=number % len(KINDS))
    tiles = ("--patch-size", "64", "--overlap", "32", "--workers", "2")
    _start(["patch", slides, "--out", cut, *tiles]).wait()
    places = [(x, y) for x in range(0, 1100, 48) for y in range(0, 800, 48)]
    pairs = [
        {"wsi_id": f"s{n}", "position": [str(x), str(y)], "caption": f"At {x} {y}."}
        for n in range(3)
        for x, y in places
    ]
    (folder / "pairs.json").write_text(json.dumps(pairs))
    talk = [{"from": "human", "value": "<image>\nWhat?"}, {"from": "gpt", "value": "A gland."}]
    rows = [{"id": f"r{i}", "image": f"{i % 9}.png", "conversations": talk} for i in range(120_000)]
    (folder / "rows.json").write_text(json.dumps(rows))
    _archive(folder / "SET.tar.gz")
    asked = folder / "asked"
    asked.mkdir()
    for number in range(60):
        Image.fromarray(np.full((32, 32, 3), number, np.uint8)).save(asked / f"{number}.png")
    lines = [json.dumps({"image": f"{n}.png", "wsi_id": "s", "x": n, "y": 0}) for n in range(60)]
    (asked / "manifest.jsonl").write_text("\n".join([*lines, ""]))
    ask = ("--base-url", server.url, "--model", "m", "--concurrency", "2", "--stages", "describe,summarise")
    server.reply = lambda number, body: time.sleep(0.02)
    return [
        Job(name="patching", words=lambda out: ("patch", slides, "--out", out, *tiles, "--save-patches", "png")),
        Job(
            name="features",
            words=lambda out: ("features", out, "--slides", slides, *ENCODER, "--workers", "2"),
            before=("patch", slides, *tiles),
        ),
        Job(name="patching and features", words=lambda out: ("run", slides, "--out", out, *tiles, *ENCODER)),
        Job(
            name="extraction",
            words=lambda out: (
                *("pathgen", "extract", folder / "pairs.json", "--slides", slides, "--out", out),
                *("--format", "png", "--size", "192", "--workers", "2"),
            ),
        ),
        Job(
            name="archives",
            words=lambda out: ("patchtcga", "join", folder / "SET.tar.gz", "--unverified", "--out", out),
        ),
        Job(
            name="conversion",
            words=lambda out: (
                "convert",
                "llava",
                folder / "rows.json",
                "--to",
                "sharegpt",
                "--overwrite",
                "--out",
                out / "a.json",
            ),
        ),
        Job(
            name="captioning",
            words=lambda out: ("pathgen", "caption", asked, *ask, "--out", out / "captions.jsonl"),
        ),
    ]


def disturb(job: Job, runs: Path, kills: int, draw: random.Random) -> int:
    """Run a job undisturbed, then with one kill each time; returns how many outputs were not the same."""
    out, begin = runs / "out", runs / "begin"  # one place for all: the folder's name stands in some files
    shutil.rmtree(runs, ignore_errors=True)
    begin.mkdir(parents=True)
    if job.before:
        _end(_start([*job.before, "--out", begin]))
    shutil.copytree(begin, out)
    started = time.monotonic()
    _end(_start(job.words(out)))
    took = time.monotonic() - started
    wanted, wrong, at_work = written(out), [], 0
    for _ in range(kills):
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(begin, out)
        process = _start(job.words(out))
        moment = draw.uniform(0, took)
        with suppress(subprocess.TimeoutExpired):
            process.wait(moment)
        at_work += process.poll() is None
        end_group(process)
        code = _start(job.words(out)).wait()
        got, left = written(out), [path.name for path in out.rglob(".*.tmp")]
        if code or got != wanted or left:
            other = sorted(name for name in {*got} | {*wanted} if got.get(name) != wanted.get(name))
            wrong.append(f"after {moment:.2f} s: exit code {code}, other files {other[:5]}, left over {left[:5]}")
    sys.stdout.write(
        f"{job.name}: {took:.1f} s undisturbed, {len(wanted)} files; {kills} kills, {at_work} of them before its end; "
        f"{len(wrong)} outputs differ\n{''.join(f'  {line}{chr(10)}' for line in wrong)}"
    )
    sys.stdout.flush()
    return len(wrong)


def written(folder: Path) -> dict[str, bytes]:
    """Return the files that a job is for, by their names below ``folder``."""
    found = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    return {
        name: path.read_bytes()
        for name, path in found.items()
        if not name.startswith((*NOTES, ".")) and ".cache/" not in name and path.suffix != ".sqlite"
    }


def _archive(path: Path) -> None:
    """Write an archive of many small files."""
    rng = np.random.default_rng(0)
    source = path.with_suffix("").with_suffix("")
    for number in range(4000):
        file = source / f"c{number % 3}" / f"{number}.bin"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(rng.bytes(3000))
    with tarfile.open(path, "w:gz") as archive:
        archive.add(source, source.name)
    shutil.rmtree(source)


def _start(words: Sequence[object]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "pathplugins.data_tools", *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.wait():
        raise SystemExit(f"the undisturbed run ended with {process.returncode}: {' '.join(process.args)}")


def end_group(process: subprocess.Popen[bytes]) -> None:
    """Kill all processes of the group that a process leads, and wait until none is left."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    while _group_lives(process.pid):
        time.sleep(0.01)


def _group_lives(group: int) -> bool:
    """Return whether a process of the group still runs; ended ones wait for whoever adopted them."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[2]) == group and fields[0] != "Z":
                return True
    return False


if __name__ == "__main__":
    sys.exit(main())
