"""Disks that refuse to be written to: full, read-only or forbidden; said with the folder and what to do."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from pathplugins.core.errors import PathPluginsError

_FULL = (errno.ENOSPC, errno.EDQUOT)
_FULL_WORDS = ("No space left on device", "Disk quota exceeded", "database or disk is full")
"""HDF5, safetensors and SQLite say it in their text alone."""
_READ_ONLY_WORDS = ("Read-only file system", "attempt to write a readonly database")
_LITTLE = 1 << 20  #: bytes; a disk with less is the full one


def is_full(error: BaseException) -> bool:
    """Return whether a file could not be written for want of space."""
    said = str(error)
    return getattr(error, "errno", None) in _FULL or any(words in said for words in _FULL_WORDS) or _torch_cut(said)


def is_read_only(error: BaseException) -> bool:
    """Return whether a file could not be written because nothing may be written on that file system."""
    return getattr(error, "errno", None) == errno.EROFS or any(words in str(error) for words in _READ_ONLY_WORDS)


def refusal(error: BaseException, out: Path | None) -> str | None:
    """Return in words how a disk refused, and what to do; None for any other error.

    Args:
        error: What was raised.
        out: The output that was being written, named where the error names no file.
    """
    named = Path(os.fsdecode(error.filename)) if isinstance(error, OSError) and error.filename else None
    where = named.parent if named else out or Path()
    if is_full(error):
        where = where if named else _full_one(where)
        return f"{where}: the disk is full; make room there and run the same command"
    if is_read_only(error):
        return f"{where}: the file system is read-only; make it writable and run the same command, or write elsewhere"
    if isinstance(error, PermissionError):
        return f"{named or where}: this user is not permitted that; change the permissions, or choose another folder"
    return None


@contextmanager
def refusals_in_words(out: Path | None) -> Iterator[None]:
    """Check the output before the block, and turn the refusals of disks in it into ``PathPluginsError``.

    Args:
        out: The output; None where the command has none.
    """
    if out is not None:
        check_writable(out)
    try:
        yield
    except PathPluginsError:
        raise
    except Exception as error:
        said = refusal(error, out)
        if said is None:
            raise
        raise PathPluginsError(said) from error


def check_writable(out: Path) -> None:
    """Refuse an output that could not be written, before any work is spent; writes nothing itself.

    Args:
        out: A folder or file, there or not.

    Raises:
        PathPluginsError: the nearest folder that exists is read-only, forbidden to this user, or on a full disk, or one
            of the folders is a file.
    """
    if file := next((parent for parent in out.parents if parent.is_file()), None):
        raise PathPluginsError(f"{file} is a file, so that {out} cannot be written below it; name another folder")
    folder = _nearest(out)
    state = os.statvfs(folder)
    if state.f_flag & os.ST_RDONLY:
        raise PathPluginsError(refusal(OSError(errno.EROFS, "", str(folder / "x")), out))
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PathPluginsError(refusal(OSError(errno.EACCES, "", str(folder)), out))
    if state.f_blocks and not (state.f_bavail if os.geteuid() else state.f_bfree):
        raise PathPluginsError(refusal(OSError(errno.ENOSPC, "", str(folder / "x")), out))


def reserve(file: IO[bytes], size: int) -> None:
    """Make a new file ``size`` bytes long, each with a place on the disk: a memory map of holes ends in a bus error.

    Raises:
        OSError: the disk has less room.
    """
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, size)
        return
    for start in range(0, size, _LITTLE):
        file.write(bytes(min(_LITTLE, size - start)))
    file.flush()


def _torch_cut(said: str) -> bool:
    """Return whether ``torch.save`` could not write all: it names no reason, and there is hardly another one."""
    return "inline_container" in said and ("unexpected pos" in said or "PytorchStreamWriter failed" in said)


def _full_one(out: Path) -> Path:
    """Return which of the two is full: the output, or the folder of temporary files."""
    temporary = Path(tempfile.gettempdir())
    free = shutil.disk_usage(_nearest(out)).free
    return temporary if free > _LITTLE > shutil.disk_usage(temporary).free else out


def _nearest(out: Path) -> Path:
    """Return the innermost folder of a path that exists."""
    return next(path for path in (out.absolute(), *out.absolute().parents) if path.is_dir())
