"""Locks: one process at a time works on a slide.

A lock is the kernel's (``flock``) on a file in the work folder. The kernel releases it when the process that holds it
ends, however it ends, so no lock is ever stale and none has to be cleared by hand. On Linux, NFS carries it to other
hosts. On a file system without such locks slides are done without them: two runs may then do one slide twice, and the
second result replaces the first as a whole.
"""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_UNSUPPORTED = (errno.ENOTSUP, errno.ENOSYS, errno.ENOLCK, errno.EINVAL)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Holder:
    """The process that works on a slide, for messages."""

    host: str = "?"
    pid: int = 0
    since: float = 0.0
    """Seconds since the epoch."""

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


class Held(Exception):
    """Another process holds the lock."""

    def __init__(self, holder: Holder) -> None:
        super().__init__(f"locked by {holder}")
        self.holder = holder


@contextmanager
def holding(path: Path) -> Iterator[None]:
    """Hold the lock file ``path`` for the block.

    Raises:
        Held: another process has it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = _take(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)  # while it is held: whoever opened it before sees that it is gone, and opens anew
        os.close(descriptor)


def holder_of(path: Path) -> Holder | None:
    """Return the process that holds the lock; None if nobody does."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read(descriptor)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        return _read(descriptor)  # no locks to ask for; the file is left by a process that works, or was killed
    finally:
        os.close(descriptor)
    return None


def _take(path: Path) -> int:
    """Create and lock the file; returns its descriptor."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _lock(descriptor, path)
            if _is_still(path, descriptor):
                me = Holder(host=socket.gethostname(), pid=os.getpid(), since=time.time())
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, json.dumps(vars(me)).encode(), 0)
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # its last holder removed it between our open and our lock


def _lock(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise Held(_read(descriptor)) from error
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        logger.warning("%s: this file system has no locks; do not start two runs on one folder", path.parent)


def _is_still(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _read(descriptor: int) -> Holder:
    """Return what the holder wrote about itself; unknown if it has not written yet."""
    try:
        return Holder(**json.loads(os.pread(descriptor, 4096, 0)))
    except ValueError:
        return Holder()
