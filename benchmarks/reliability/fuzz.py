"""Many mutated inputs of every kind: each is read, or refused with one of our errors, within bounded time and memory.

Run from the repository root: ``python -m benchmarks.reliability.fuzz --out DIR [--inputs N | --each N] [--seed N]
[--only WORD] [--without WORD]``.

Hypothesis draws mutations of well-formed files (`mutations.py`, `targets`) in child processes, a block of inputs
each. A fault is anything but a result or an error of `pathplugins.core.errors`: another exception, a process that dies,
more than ``SECONDS`` for one input, more than ``MIB`` of memory, a file written outside the folder of the input, or
code that is run (seen by the audit events of Python). Slides are read in worker processes by the product too, which
reports the death of one as a failure of its slide: such deaths are counted, and no fault. Faults are grouped by
exception and place; the input that showed each, shrunk where the process lived, is kept in ``DIR/faults``. Exit code 1
if there is any.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import mmap
import os
import resource
import shutil
import signal
import struct
import sys
import time
import traceback
import warnings
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings

from benchmarks.reliability.mutations import mutated, mutations
from benchmarks.reliability.targets import Target, targets
from pathplugins.core.errors import MissingDependencyError, PathPluginsError
from pathplugins.data import bags

SECONDS = 30.0
MIB = 1024
"""Address space that reading one small file may take beyond what the process had."""
BLOCK = 400
RUNS_CODE = ("os.system", "subprocess.Popen", "os.exec", "os.posix_spawn", "os.fork", "socket.connect", "exec")
HELPER = "pathplugins.data.endless"
"""The product's own process apart, started for the first HDF5 file."""
WRITES = ("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.truncate", "os.chmod")
_STATE = struct.Struct("dQQd")
"""When the input that is read began, inputs done, of them refused, and the longest so far in seconds."""


@dataclass
class Tally:
    """What came of the inputs of one target."""

    inputs: int = 0
    refused: int = 0
    slowest_s: float = 0.0
    peak_mib: int = 0
    deaths: Counter[str] = field(default_factory=Counter)
    """Processes that died of a signal, where the product reads in workers."""
    faults: Counter[str] = field(default_factory=Counter)


class FaultError(Exception):
    """An input that showed a fault which is not known yet."""


def main() -> int:
    """Fuzz every target, print the table and write it; returns 1 if there was a fault."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--inputs", type=int, default=100_000, help="of all targets together")
    parser.add_argument("--each", type=int, help="inputs of each target instead")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="targets whose name has this word")
    parser.add_argument("--without", help="targets whose name has this word are left out")
    options = parser.parse_args()
    places = options.out / "seeds", options.out / "faults"
    for place in places:
        place.mkdir(parents=True, exist_ok=True)
    chosen = [
        target
        for target in targets(places[0])
        if options.only in target.name and not (options.without and options.without in target.name)
    ]
    share = options.each or -(-options.inputs // len(chosen))
    tallies = {}
    for target in chosen:
        _read_whole(target, options.out / "whole")
        tallies[target.name] = fuzz(target, share, options.seed, options.out)
        print(_line(target.name, tallies[target.name]), flush=True)
    total = sum(tally.inputs for tally in tallies.values())
    faults = sum(len(tally.faults) for tally in tallies.values())
    print(f"{total} inputs, {faults} kinds of faults")
    values = {
        name: {**vars(tally), "deaths": dict(tally.deaths), "faults": dict(tally.faults)}
        for name, tally in tallies.items()
    }
    (options.out / "fuzz.json").write_text(json.dumps(values, indent=1))
    return 1 if faults else 0


def _read_whole(target: Target, folder: Path) -> None:
    """Read the well-formed files, so that all is imported that reading needs; an error shows that they are not."""
    for name, content in target.seeds.items():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        (folder / name).write_bytes(content)
        target.read(folder / name)


def fuzz(target: Target, inputs: int, first_seed: int, out: Path) -> Tally:
    """Read ``inputs`` mutated files of a target, in blocks, each in a process of its own."""
    tally, block = Tally(), 0
    while tally.inputs < inputs:
        folder = out / "block" / "work"
        shutil.rmtree(folder.parent, ignore_errors=True)
        folder.mkdir(parents=True)
        _block(target, min(BLOCK, inputs - tally.inputs), first_seed * 1_000_003 + block, folder, tally)
        for stray in folder.parent.iterdir():
            if stray.name not in (folder.name, "fault.json"):
                _count(tally, f"wrote {stray.name} outside its folder", folder, out, target)
        report = folder.parent / "fault.json"
        if report.is_file():
            _count(tally, json.loads(report.read_text())["fault"], folder, out, target)
        block += 1
    return tally


def _count(tally: Tally, fault: str, folder: Path, out: Path, target: Target) -> None:
    """Count a fault; keep the input of its first time, and where it was raised."""
    tally.faults[fault] += 1
    if tally.faults[fault] == 1:
        kept = out / "faults" / f"{target.name.split(',')[0]}_{len(tally.faults)}"
        if (report := folder.parent / "fault.json").is_file():
            shutil.copy(report, f"{kept}.json")
        for path in [path for path in sorted(folder.glob("input/*")) if path.is_file()][:1]:
            shutil.copy(path, f"{kept}_{path.name}")


def _block(target: Target, inputs: int, number: int, folder: Path, tally: Tally) -> None:
    """Run one block in a child process, and end it when an input takes too long."""
    shared = mmap.mmap(-1, _STATE.size)
    child = os.fork()
    if not child:
        try:
            _in_child(target, inputs, number, folder, shared, frozenset(tally.faults))
        except BaseException:  # noqa: BLE001 - nothing of the parent may run on in the child
            told = {"fault": "this program failed", "trace": traceback.format_exc()}
            (folder.parent / "fault.json").write_text(json.dumps(told))
        os._exit(0)
    while True:
        ended, status, usage = os.wait4(child, os.WNOHANG)
        began, done, refused, slowest = _STATE.unpack(shared[:])
        if ended:
            break
        if began and time.monotonic() - began > SECONDS:
            os.kill(child, signal.SIGKILL)
            _, status, usage = os.wait4(child, 0)
            (folder.parent / "fault.json").write_text(json.dumps({"fault": f"took over {SECONDS:g} s"}))
            break
        time.sleep(0.02)
    if os.WIFSIGNALED(status) and not (folder.parent / "fault.json").exists():
        name = signal.Signals(os.WTERMSIG(status)).name
        tally.deaths[name] += 1
        if not target.apart:
            (folder.parent / "fault.json").write_text(json.dumps({"fault": f"the process died of {name}"}))
    tally.inputs += max(1, int(done))
    tally.refused += int(refused)
    tally.slowest_s = max(tally.slowest_s, slowest)
    tally.peak_mib = max(tally.peak_mib, usage.ru_maxrss // 1024)


def _in_child(target: Target, inputs: int, number: int, folder: Path, shared: mmap.mmap, known: frozenset[str]) -> None:
    """Read the inputs of a block; the first fault that is not known is shrunk and written down."""
    seen: list[str] = []
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1), os.dup2(quiet, 2)
    warnings.simplefilter("ignore")
    bags._RETRY_WAITS_S = (0.0,)  # waiting helps with file systems that stumble, not with damage
    watching = _watch(folder, seen)
    files = sorted(target.seeds.items())
    contents = [content for _, content in files]
    done = refused = 0
    slowest = 0.0

    @seed(number)
    @settings(
        max_examples=inputs,
        database=None,
        deadline=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    @given(changes=mutations(text=target.text, others=contents))
    def read_all(changes: list) -> None:
        nonlocal done, refused, slowest
        name, content = files[done % len(files)] if not seen else chosen[0]
        chosen[:] = [(name, content)]
        place = folder / "input"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        path = place / name
        path.write_bytes(mutated(content, changes))
        started = time.monotonic()
        _STATE.pack_into(shared, 0, started, done, refused, slowest)
        watching[0] = True
        try:
            target.read(path)
        except (PathPluginsError, MissingDependencyError):
            refused += 1
        except MemoryError:
            _found("took too much memory")
        except Exception as error:  # noqa: BLE001 - which ones there are is what is looked for
            _found(_named(error))
        finally:
            watching[0] = False
            done += 1
            slowest = max(slowest, time.monotonic() - started)
            _STATE.pack_into(shared, 0, 0.0, done, refused, slowest)
        if events := seen_events(seen):
            _found(events)

    def _found(fault: str) -> None:
        watching[0] = False
        if fault not in known:
            (folder.parent / "fault.json").write_text(json.dumps({"fault": fault, "trace": traceback.format_exc()}))
            raise FaultError(fault)

    chosen: list[tuple[str, bytes]] = [files[0]]
    taken = _address_space()
    resource.setrlimit(resource.RLIMIT_AS, (taken + MIB * 2**20,) * 2)
    with contextlib.suppress(FaultError):
        read_all()


def seen_events(seen: list[str]) -> str:
    """Return what was seen since the last call, and forget it."""
    found = ", ".join(dict.fromkeys(seen))
    seen.clear()
    return found


def _watch(folder: Path, seen: list[str]) -> list[bool]:
    """Note code that is run, and files written outside ``folder``; returns the switch, which is off."""
    switch = [False]
    inside = str(folder)

    def hook(event: str, words: tuple) -> None:
        if not switch[0]:
            return
        if event == "subprocess.Popen" and HELPER in words[1]:
            return
        if event in RUNS_CODE and not (event == "exec" and _is_of_a_module(words[0])):
            seen.append(f"ran code: {event}")
        elif event == "open" and isinstance(words[0], str) and _writes(words):
            if not os.path.abspath(words[0]).startswith(inside):  # noqa: PTH100 - no objects in a hook
                seen.append(f"opened {Path(words[0]).name[:12]} outside its folder to write")
        elif event in WRITES and isinstance(words[0], str) and not _place(words).startswith(inside):
            seen.append(f"{event} outside its folder")

    sys.addaudithook(hook)
    return switch


def _place(words: tuple) -> str:
    """Return the absolute path that an event is about; some name it from an open folder, which comes last."""
    descriptor = words[-1] if len(words) > 1 and isinstance(words[-1], int) else -1
    start = os.readlink(f"/proc/self/fd/{descriptor}") if descriptor >= 0 else ""  # noqa: PTH115 - no objects in a hook
    return os.path.abspath(os.path.join(start, words[0]))  # noqa: PTH100, PTH118


def _is_of_a_module(code: object) -> bool:
    """Return whether code belongs to an installed module, or is that of a dataclass or named tuple: no input's."""
    name = getattr(code, "co_filename", "")
    return name.startswith(("<string>", "<attrs", "<frozen", "<__array_function__")) or Path(name).is_file()


def _writes(words: tuple) -> bool:
    mode, flags = words[1], words[2]
    if isinstance(mode, str):
        return any(letter in mode for letter in "wax+")
    return bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)) and not str(words[0]).startswith("/dev/")


def _named(error: Exception) -> str:
    """Return the exception, and the innermost place of ours that it went through."""
    ours = [frame for frame in traceback.extract_tb(error.__traceback__) if "benchmarks" not in frame.filename]
    ours = [f for f in ours if "pathplugins" in f.filename or "data_tools" in f.filename] or ours
    place = ours[-1] if ours else None
    return f"{type(error).__name__} from {Path(place.filename).name}:{place.name}" if place else type(error).__name__


def _address_space() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def _line(name: str, tally: Tally) -> str:
    shown = "; ".join(f"{fault} x {count}" for fault, count in tally.faults.items()) or "none"
    return (
        f"{name}: {tally.inputs} inputs, {tally.refused} refused, slowest {tally.slowest_s * 1000:.0f} ms, "
        f"peak {tally.peak_mib} MiB; deaths: {sum(tally.deaths.values())}; faults: {shown}"
    )


if __name__ == "__main__":
    sys.exit(main())
