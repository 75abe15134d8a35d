"""Write files whole or not at all: beside their place, then renamed."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pathplugins.core.errors import PathPluginsError

_TEMPORARY = re.compile(r"\.(?P<name>.+)\.\d+-[0-9a-f]{8}\.tmp")


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
    return path.with_name(f".{path.name}.{os.getpid()}-{os.urandom(4).hex()}.tmp")


def meant_by(temporary: Path) -> str | None:
    """Return the name of the file that a ``temporary_beside`` was to become; None if it is no such file."""
    match = _TEMPORARY.fullmatch(temporary.name)
    return match["name"] if match else None


def read_json(path: Path) -> dict[str, Any]:
    """Read the object in a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


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
