"""Disks, clocks and hosts that cause trouble while the data tools work: one report, nothing lost.

Run from the repository root, as root on Linux (it mounts small file systems):
``python -m benchmarks.reliability.troubles [--trouble NAME] [--only WORD]``.

Each job runs once undisturbed. Then it meets each trouble in a new folder:

``full``: the disk has room for a part of the output. The command ends with an exit code above 0 and one report, without
a traceback, that names the folder and what to do; with more room the same command finishes.
``read-only``: the folder cannot be written to, from the start or from a moment on; the same is asked.
``slow``: whatever opens, writes, renames or removes a file below the folder takes 20 ms longer.
``hosts``: two processes with host names and process numbers of their own do the same on one folder, or one is told to
wait for the other; then one of two is killed.
``clock``: the time of the day jumps by up to 49 hours whenever it is asked for.

Every file that the job is for must equal the undisturbed one byte for byte, and nothing half-written may be left.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from . import shim
from .data_jobs import Job, Sizes, command, end_group, jobs, written

SMALL = Sizes(slides=2, slide=(800, 650), rows=6000, members=120, asked=12)
SHARES = (0.05, 0.5, 0.9)
"""How much of the output there is room for."""
LARGE = 1 << 30
NEXT_STEP = re.compile(r"make room|free |run the same command|choose another|write to|--out")


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    said: str
    seconds: float


class Place:
    """A new file system of its own for each trouble, always mounted at the same place: its name stands in files."""

    def __init__(self, root: Path, job: Job) -> None:
        self.root, self.out, self._job = root, root / "out", job

    @contextmanager
    def new(self) -> Iterator[None]:
        """Mount an empty one, with what has run before the job."""
        self.root.mkdir(parents=True, exist_ok=True)
        _mount("-t", "tmpfs", "-o", f"size={LARGE}", "tmpfs", self.root)
        try:
            if self._job.before and (ended := _run([*self._job.before, "--out", self.out])).code:
                raise SystemExit(ended.said)
            self.began = self.used
            yield
        finally:
            subprocess.run(["umount", "-l", self.root], check=True)

    def remount(self, options: str) -> None:
        """Change the size, or whether it can be written to."""
        _mount("-o", f"remount,{options}", self.root)

    @property
    def used(self) -> int:
        """Bytes that are used."""
        state = os.statvfs(self.root)
        return (state.f_blocks - state.f_bfree) * state.f_frsize

    @property
    def left_over(self) -> list[str]:
        """Names of half-written files."""
        return [path.name for path in self.root.rglob(".*.tmp")]


def main() -> int:
    """Print a line for each job and trouble; 1 if any went wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trouble", choices=[*TROUBLES], action="append", help="(default: all)")
    parser.add_argument("--only", default="", help="jobs whose name has this word")
    options, wrong = parser.parse_args(), 0
    if os.geteuid() or not sys.platform.startswith("linux"):
        raise SystemExit("the troubles need Linux and root: they mount file systems and name hosts")
    with jobs(SMALL) as (runs, chosen), tempfile.TemporaryDirectory() as folder:
        library = shim.build(Path(folder))
        for job in (job for job in chosen if options.only in job.name):
            place = Place(runs, job)
            with place.new():
                ended = _run(job.words(place.out))
                if ended.code:
                    raise SystemExit(f"{job.name}: undisturbed, it ended with {ended.code}\n{ended.said}")
                wanted, size = written(place.out), place.used - place.began
            _line(f"{job.name}: {ended.seconds:.1f} s undisturbed, {len(wanted)} files, {size / 1024:.0f} KiB")
            for name in options.trouble or TROUBLES:
                faults = TROUBLES[name](job, place, wanted, size, library)
                if faults is not None:
                    wrong += len(faults)
                    _line(f"  {name}: " + ("as undisturbed" if not faults else "WRONG"))
                    _line(*(f"    {fault}" for fault in faults))
    return int(wrong > 0)


def full(job: Job, place: Place, wanted: dict[str, bytes], size: int, library: Path | None) -> list[str]:
    """Give room for a share of the output, then for all."""
    faults = []
    for share in SHARES:
        with place.new():
            place.remount(f"size={place.began + max(4096, int(size * share))}")
            ended = _run(job.words(place.out))
            if ended.code or written(place.out) != wanted:  # what is replaced needs less room than it did
                faults += _refused(f"room for {share:.0%}", ended, place)
            place.remount(f"size={LARGE}")
            faults += _finishes(f"after room for {share:.0%}", job, place, wanted)
    return faults


def read_only(job: Job, place: Place, wanted: dict[str, bytes], size: int, library: Path | None) -> list[str]:
    """Let nothing be written from the start, or from the moment when half is."""
    faults = []
    for begun in (False, True):
        with place.new():
            when = "from the middle" if begun else "from the start"
            process = _start(job.words(place.out)) if begun else None
            if process is not None:
                while process.poll() is None and place.used < place.began + size / 2:
                    time.sleep(0.002)
            if not _read_only(place):
                continue  # it has a file open for writing all the time
            ended = _run(job.words(place.out)) if process is None else _ended(process)
            if ended.code or process is None:
                faults += _refused(f"read-only {when}", ended, place)
            place.remount("rw")
            faults += _finishes(f"after read-only {when}", job, place, wanted)
    return faults


def slow(job: Job, place: Place, wanted: dict[str, bytes], size: int, library: Path | None) -> list[str] | None:
    """Work on a slow file system."""
    if library is None:
        return _line("  slow: left out, there is no gcc to build the library with")
    with place.new():
        process = _start(job.words(place.out), environment=shim.slow(library, place.root, 20))
        faults = _watched(process, place)
        ended = _ended(process)
        return faults + _right("slow", ended, place, wanted)


def clock(job: Job, place: Place, wanted: dict[str, bytes], size: int, library: Path | None) -> list[str] | None:
    """Work, be killed and go on while the time of the day jumps."""
    if library is None:
        return _line("  clock: left out, there is no gcc to build the library with")
    with place.new():
        environment = shim.jumping_clock(library)
        process = _start(job.words(place.out), environment=environment)
        while process.poll() is None and place.used < place.began + size / 2:
            time.sleep(0.002)
        end_group(process)
        process = _start(job.words(place.out), environment=environment)
        faults = _watched(process, place, environment)
        faults += _right("while the clock jumps", _ended(process), place, wanted)
        again = _run(job.words(place.out), environment=environment)
        return faults + _right("once more", again, place, wanted)


def hosts(job: Job, place: Place, wanted: dict[str, bytes], size: int, library: Path | None) -> list[str]:
    """Work from two hosts; then kill one of the two, and start a third where the other did not finish."""
    faults = []
    for kill in (False, True):
        with place.new():
            both = [_start(job.words(place.out), host=host) for host in ("host-a", "host-b")]
            if kill:
                while both[0].poll() is None and place.used < place.began + size / 2:
                    time.sleep(0.002)
                end_group(both[0])
            ends = [_ended(process) for process in both]
            words = "two hosts, one killed" if kill else "two hosts"
            if kill:
                ends = [ends[1]] if not ends[1].code else [_run(job.words(place.out), host="host-c")]
            waits = [ended for ended in ends if ended.code == 2 and "wait for it" in ended.said]
            ends = ends if len(waits) == len(ends) else [ended for ended in ends if ended not in waits]
            for ended in ends:  # what the killed host has half-written is not this one's to judge
                faults += _right(words, ended, place, wanted, left_over=not kill)
            if not kill and job.name in ("patching", "features", "patching and features", "extraction"):
                done = sum(_done(ended.said) for ended in ends)
                faults += [] if done == SMALL.slides else [f"{words}: {done} slides done instead of {SMALL.slides}"]
    return faults


TROUBLES = {"full": full, "read-only": read_only, "slow": slow, "hosts": hosts, "clock": clock}


def _refused(when: str, ended: Ended, place: Place) -> list[str]:
    """Return what is wrong with how a command ended that could not write."""
    faults = []
    if ended.code <= 0:
        faults.append(f"{when}: exit code {ended.code}")
    if "Traceback" in ended.said:
        faults.append(f"{when}: a traceback")
    if str(place.root) not in ended.said:
        faults.append(f"{when}: the folder is not named")
    if not NEXT_STEP.search(ended.said):
        faults.append(f"{when}: no next step")
    faults += [f"      | {line}" for line in ended.said.splitlines()[-12:]] if faults else []
    if os.environ.get("SHOW"):
        _line(*(f"      | {line}" for line in ended.said.splitlines()[-12:]))
    return faults


def _finishes(when: str, job: Job, place: Place, wanted: dict[str, bytes]) -> list[str]:
    return _right(when, _run(job.words(place.out)), place, wanted)


def _right(when: str, ended: Ended, place: Place, wanted: dict[str, bytes], *, left_over: bool = True) -> list[str]:
    """Return what is wrong with what a command wrote that should have done all."""
    got = written(place.out) if place.out.exists() else {}
    other = sorted(name for name in {*got} | {*wanted} if got.get(name) != wanted.get(name))
    if not ended.code and not other and not (left_over and place.left_over):
        return []
    said = [f"      | {line}" for line in ended.said.splitlines()[-8:]]
    return [f"{when}: exit code {ended.code}, other {other[:5]}, left over {place.left_over[:5]}", *said]


def _watched(process: subprocess.Popen[bytes], place: Place, environment: Mapping[str, str] | None = None) -> list[str]:
    """Ask for the status while a command works; returns what it said wrongly."""
    faults = []
    while process.poll() is None:
        if any(place.out.glob("state/*.json")):
            ended = _run(["status", place.out], environment=environment)
            if ended.code or re.search(r"Traceback|-\d|inf|nan", ended.said.replace(str(place.out), "")):
                faults.append(f"status: exit code {ended.code}: {ended.said[-400:]}")
        time.sleep(0.2)
    return faults


def _done(said: str) -> int:
    """Count the slides that a command did itself."""
    lines = [line for line in said.splitlines() if re.match(r"\[\d+/\d+\] ", line)]
    return sum("exists already" not in line for line in lines)


def _start(
    words: Sequence[object], *, environment: Mapping[str, str] | None = None, host: str | None = None
) -> subprocess.Popen[bytes]:
    line = command(words)
    if host is not None:
        named = ["sh", "-c", f'hostname {host} && exec "$@"', "sh"]
        line = ["unshare", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc", *named, *line]
    log = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
    process = subprocess.Popen(line, stdout=log, stderr=log, start_new_session=True, env=environment)
    process.log, process.began = log, time.monotonic()
    return process


def _ended(process: subprocess.Popen[bytes]) -> Ended:
    try:
        code = process.wait(120)
    except subprocess.TimeoutExpired:
        end_group(process)
        code = -1000
    process.log.seek(0)
    said = process.log.read().decode(errors="replace") + "it went on for 120 s and was killed\n" * (code == -1000)
    return Ended(code, said, time.monotonic() - process.began)


def _run(words: Sequence[object], **how: object) -> Ended:
    return _ended(_start(words, **how))


def _read_only(place: Place) -> bool:
    """Make the place read-only; it must wait for a moment when no file is open for writing."""
    for _ in range(3000):
        if not subprocess.run(["mount", "-o", "remount,ro", place.root], stderr=subprocess.DEVNULL).returncode:
            return True
        time.sleep(0.001)
    return False


def _mount(*words: object) -> None:
    if subprocess.run(["mount", *map(str, words)]).returncode:
        raise SystemExit("mount refused: run it as root, in a container with CAP_SYS_ADMIN")


def _line(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
