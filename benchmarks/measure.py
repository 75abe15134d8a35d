"""What the benchmarks measure with: seconds of calls that take turns, bytes a call needs in a process of its own."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

MIB = 2**20
_STATUS = Path("/proc/self/status")


def clock() -> float:
    """Seconds; with one thread those of the processor, which other programs disturb less."""
    return time.process_time() if torch.get_num_threads() == 1 else time.perf_counter()


def fastest(calls: Sequence[Callable[[], object]], repeats: int) -> list[float]:
    """Shortest time of each call in seconds; they take turns, so that a busy machine is busy for all of them."""
    times = [[] for _ in calls]
    for turn in range(repeats + 1):
        for call, spent in zip(calls, times, strict=True):
            start = clock()
            call()
            if turn:  # the first turn warms up
                spent.append(clock() - start)
    return [min(spent) for spent in times]


def peak_bytes(call: Callable[[], object]) -> int:
    """Resident bytes at the peak of ``call`` above those before it; meant for a fresh process, warmed up on a little.

    ``getrusage`` would not do: its peak begins with that of the process that started this one.
    """
    before = _status_bytes("VmRSS")
    call()
    return max(0, _status_bytes("VmHWM") - before)


def in_fresh_process(module: str, *words: str) -> list[float]:
    """Return the numbers that ``python -m module words`` prints."""
    command = [sys.executable, "-m", module, *words]
    run = subprocess.run(command, cwd=Path(__file__).parents[1], stdout=subprocess.PIPE, text=True, check=True)
    return [float(word) for word in run.stdout.split()]


def verdict(name: str, value: float, bar: float, *, at_most: bool) -> tuple[str, bool]:
    """Return a line that says whether ``value`` keeps its bar, and whether it does."""
    kept = value <= bar if at_most else value >= bar
    return f"{name}: {value:.2f}; bar {'<=' if at_most else '>='} {bar}: {'kept' if kept else 'MISSED'}\n", kept


def _status_bytes(name: str) -> int:
    return int(re.search(rf"^{name}:\s+(\d+) kB", _STATUS.read_text(), re.MULTILINE)[1]) * 1024
