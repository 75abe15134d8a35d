"""Damage from which the HDF5 library never comes back: found in a process apart, by the time that it computes.

Some damaged metadata keeps the library in a loop in which not even Ctrl-C reaches the process. So a helper walks
through the names, shapes and attributes of a file first, and is ended where it computes for ``SECONDS``: whole files
take milliseconds, and waiting for a slow file system does not count.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from typing import Any

SECONDS = 5.0
_OBJECTS = 1000  #: looked at in a file; one of 10,000 slides would take seconds
_CRASHES = ("SIGABRT", "SIGBUS", "SIGFPE", "SIGILL", "SIGSEGV")


def endless(path: str | os.PathLike[str], *, seconds: float = SECONDS) -> str | None:
    """Return what happened where the HDF5 library never comes back from a file's metadata; None for other files.

    A file that is missing, or damaged in a way that raises, is left to its reader. Where the system has no timers of
    computing time (Windows), only crashes are found.

    Args:
        path: The file, of any kind.
        seconds: Computing time that the walk through it may take.

    Raises:
        RuntimeError: the helper could not be started, or was ended by somebody else.
    """
    return _HELPERS.setdefault(os.getpid(), _Helper()).ask(os.fspath(path), seconds)


class _Helper:
    """The process apart that a process asks, started when it is first asked."""

    def __init__(self) -> None:
        self._asking = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, path: str, seconds: float) -> str | None:
        with self._asking:
            process = self._started()
            process.stdin.write(f"{json.dumps([path, seconds])}\n".encode())
            process.stdin.flush()
            if process.stdout.readline():
                return None
            process.wait()
        code = process.returncode
        name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        if name == "SIGVTALRM":
            return f"its metadata keep the HDF5 library in a loop, ended after {seconds:g} s of computing"
        if name in _CRASHES:
            return f"its metadata end the HDF5 library's process with {name}"
        raise RuntimeError(f"{path}: the process that looks at HDF5 files first ended with {name}")

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            words = [sys.executable, "-m", "pathplugins.data.endless"]
            self._process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            atexit.register(self._process.stdin.close)  # which ends it
        return self._process


_HELPERS: dict[int, _Helper] = {}
"""Process id -> its helper: a forked process that asked its parent's would read the parent's answers."""


def main() -> None:
    """Walk through each file that standard input names, with its limit; a line of output says that it was possible."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the end of the input ends this
    for line in sys.stdin.buffer:
        path, seconds = json.loads(line)
        _limit(seconds)
        with suppress(Exception):  # the file's reader meets it too, and says so
            _walk(path)
        _limit(0)
        sys.stdout.write("\n")
        sys.stdout.flush()


def _limit(seconds: float) -> None:
    """End this process after so much more computing; 0 lifts the limit."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_VIRTUAL, seconds)


def _walk(path: str) -> None:
    import h5py  # not for those who ask

    with h5py.File(path, "r", locking="best-effort") as file:
        due: list[Any] = [file]
        seen = set()
        while due and len(seen) < _OBJECTS:
            item = due.pop(0)
            with suppress(Exception):  # as above; the rest of the file is looked at
                if (address := h5py.h5o.get_info(item.id).addr) in seen:
                    continue
                seen.add(address)
                for name in item.attrs:
                    with suppress(Exception):
                        item.attrs[name]
                if isinstance(item, h5py.Dataset):
                    _ = item.shape, item.dtype, item.chunks, item.compression
                    continue
                for name in item:
                    with suppress(Exception):
                        if isinstance(item.get(name, getlink=True), h5py.HardLink):
                            due.append(item[name])


if __name__ == "__main__":
    main()
