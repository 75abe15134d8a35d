"""Jobs of the data tools that the faults of this folder disturb, with inputs of any size, and what they write."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
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
class Sizes:
    """How much there is to do; as given, each job takes 5 to 20 seconds."""

    slides: int = 3
    slide: tuple[int, int] = (1400, 1100)
    rows: int = 120_000
    members: int = 4000
    asked: int = 60


@dataclass(frozen=True, kw_only=True)
class Job:
    """A command line, the folder or file that it writes aside."""

    name: str
    words: Callable[[Path], Sequence[object]]
    """``pathdata`` words for an output in the given new folder."""
    before: Sequence[object] = ()
    """A command that has run in the folder before, undisturbed."""


@contextmanager
def jobs(sizes: Sizes = Sizes()) -> Iterator[tuple[Path, list[Job]]]:
    """Make the inputs of all jobs; gives a new folder to run them in, and these."""
    with tempfile.TemporaryDirectory() as folder, serving() as server:
        yield Path(folder, "runs"), _jobs(Path(folder), server, sizes)


def _jobs(folder: Path, server: ChatServer, sizes: Sizes) -> list[Job]:
    slides, cut = folder / "slides", folder / "cut"
    for number in range(sizes.slides):
        write_demo_slide(slides / f"s{number}.svs", sizes.slide, seed=number, kind=number % len(KINDS))
    tiles = ("--patch-size", "64", "--overlap", "32", "--workers", "2")
    start(["patch", slides, "--out", cut, *tiles]).wait()
    places = [(x, y) for x in range(0, sizes.slide[0] - 300, 48) for y in range(0, sizes.slide[1] - 300, 48)]
    pairs = [
        {"wsi_id": f"s{n}", "position": [str(x), str(y)], "caption": f"At {x} {y}."}
        for n in range(sizes.slides)
        for x, y in places
    ]
    (folder / "pairs.json").write_text(json.dumps(pairs))
    talk = [{"from": "human", "value": "<image>\nWhat?"}, {"from": "gpt", "value": "A gland."}]
    rows = [{"id": f"r{i}", "image": f"{i % 9}.png", "conversations": talk} for i in range(sizes.rows)]
    (folder / "rows.json").write_text(json.dumps(rows))
    _archive(folder / "SET.tar.gz", sizes.members)
    asked = folder / "asked"
    asked.mkdir()
    for number in range(sizes.asked):
        Image.fromarray(np.full((32, 32, 3), number, np.uint8)).save(asked / f"{number}.png")
    lines = [json.dumps({"image": f"{n}.png", "wsi_id": "s", "x": n, "y": 0}) for n in range(sizes.asked)]
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


def written(folder: Path) -> dict[str, bytes]:
    """Return the files that a job is for, by their names below ``folder``."""
    found = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    return {
        name: path.read_bytes()
        for name, path in found.items()
        if not name.startswith((*NOTES, ".")) and ".cache/" not in name and path.suffix != ".sqlite"
    }


def _archive(path: Path, members: int) -> None:
    """Write an archive of many small files."""
    rng = np.random.default_rng(0)
    source = path.with_suffix("").with_suffix("")
    for number in range(members):
        file = source / f"c{number % 3}" / f"{number}.bin"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(rng.bytes(3000))
    with tarfile.open(path, "w:gz") as archive:
        archive.add(source, source.name)
    shutil.rmtree(source)


def command(words: Sequence[object]) -> list[str]:
    """Return the command line of ``pathdata`` with the words."""
    return [sys.executable, "-m", "pathplugins.data_tools", *map(str, words)]


def start(words: Sequence[object]) -> subprocess.Popen[bytes]:
    """Start ``pathdata`` with the words, leading a group of its own."""
    return subprocess.Popen(
        command(words), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )


def end(process: subprocess.Popen[bytes]) -> None:
    """Wait for a run that nothing disturbs."""
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
