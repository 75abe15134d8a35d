"""Write files whole or not at all: beside their place, then renamed."""

from __future__ import annotations

import errno
import functools
import glob
import json
import os
import re
import shutil
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.file_heads import stand_in
from pathplugins.core.json_values import parse_json

_TEMPORARY = re.compile(r"\.(?P<name>.+)\.(?:(?P<machine>[0-9a-f]{8})-)?(?P<pid>\d+)-[0-9a-f]{8}\.tmp")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a sibling path to write to, renamed to ``path`` when the block ends well and removed when it does not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_beside(path)
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """Give a folder beside ``out`` to fill: it takes that place when the block ends well, and goes when it does not.

    Raises:
        PathPluginsError: ``out`` is a file, or a directory that holds something.
    """
    refuse_nonempty(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    remove_abandoned(out)
    folder = temporary_beside(out)
    folder.mkdir()
    try:
        yield folder
        folder.replace(out)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def refuse_nonempty(out: Path) -> None:
    """Let an output directory be new or empty, so that nothing is overwritten.

    Raises:
        PathPluginsError: ``out`` is a file, or a directory that holds something.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise PathPluginsError(f"{out} exists and is not an empty directory; choose another --out or remove it")


def temporary_beside(path: Path) -> Path:
    """Return a hidden sibling of ``path`` that no other process or thread writes to."""
    return path.with_name(f".{path.name}.{_machine()}-{os.getpid()}-{os.urandom(4).hex()}.tmp")


def remove_abandoned(path: Path) -> None:
    """Remove what processes of this machine that were killed left beside ``path``; it may be as large as the file.

    Searches the whole folder, so it is for single outputs, not for each of a million pictures. What processes of other
    machines write stays: whether they still live cannot be told from here.
    """
    for beside in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        match = _TEMPORARY.fullmatch(beside.name)
        if match and match["name"] == path.name and match["machine"] == _machine() and not _lives(int(match["pid"])):
            shutil.rmtree(beside) if beside.is_dir() else beside.unlink(missing_ok=True)


@functools.cache
def _machine() -> str:
    """Return eight digits for the host and, in containers, the set of processes whose numbers mean something here."""
    namespace = Path("/proc/self/ns/pid")
    numbers = namespace.readlink() if namespace.is_symlink() else ""
    return f"{zlib.crc32(f'{os.uname().nodename} {numbers}'.encode()):08x}"


def _lives(pid: int) -> bool:
    with suppress(PermissionError):  # another user's, so it lives
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
    return True


def meant_by(temporary: Path) -> str | None:
    """Return the name of the file that a ``temporary_beside`` was to become; None if it is no such file."""
    match = _TEMPORARY.fullmatch(temporary.name)
    return match["name"] if match else None


def is_file(path: Path) -> bool:
    """Return whether there is such a file, for names out of data: one too long to be any file's is none.

    `Path.is_file` raises for those.
    """
    return _is(Path.is_file, path)


def is_folder(path: Path) -> bool:
    """Return whether there is such a folder, as `is_file`."""
    return _is(Path.is_dir, path)


def _is(kind: Callable[[Path], bool], path: Path) -> bool:
    try:
        return kind(path)
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        return False


def read_json(path: Path) -> dict[str, Any]:
    """Read the object in a JSON file.

    Raises:
        PathPluginsError: it holds no JSON object.
        OSError: it cannot be read.
    """
    try:
        value = parse_json(path.read_text(encoding="utf-8"))
    except ValueError as error:
        if said := stand_in(path.read_bytes()[:512]):
            raise PathPluginsError(f"{path} {said}") from error
        raise PathPluginsError(f"{path} is not JSON ({error}); correct it, or get or make it again") from error
    if not isinstance(value, dict):
        raise PathPluginsError(f"{path} holds a JSON {type(value).__name__}, expected an object; get or make it again")
    return value


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write an object as indented JSON."""
    write_text_whole(path, json.dumps(value, indent=2, sort_keys=True) + "\n")


def write_text_whole(path: Path, text: str) -> None:
    """Write a text as UTF-8, with its line ends as they are, so that no reader ever sees half of it."""
    write_bytes_whole(path, text.encode("utf-8"))


def write_bytes_whole(path: Path, content: bytes) -> None:
    """Write a file, so that no reader ever sees half of it."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)
