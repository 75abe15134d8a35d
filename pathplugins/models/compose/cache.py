"""Write directories whole or not at all, and keep composed ones in a cache."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from pathplugins.core.cache_place import cache_dir

__all__ = ["DONE", "cache_dir", "cached", "new_directory"]

DONE = "config.json"
"""File in every finished directory of the cache."""


@contextmanager
def new_directory(out: Path) -> Iterator[Path]:
    """Yield a hidden directory beside ``out`` that becomes ``out`` when the block ends well, else is removed."""
    out.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=_prefix(out), dir=out.parent))
    try:
        yield beside
        beside.chmod(0o755)
        if out.exists():
            out.rmdir()  # only an empty one lets itself be replaced
        beside.rename(out)
    finally:
        shutil.rmtree(beside, ignore_errors=True)  # gone already when the rename went through


def cached(name: str, fill: Callable[[Path], None]) -> Path:
    """Return the cache's directory ``name``, filled once however many ranks and nodes ask at the same time."""
    root = cache_dir()
    out = root / name
    if (out / DONE).is_file():
        return out
    root.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{out}.lock"):
        if not (out / DONE).is_file():
            for left_over in (out, *root.glob(_prefix(out) + "*")):  # of a process that was killed
                shutil.rmtree(left_over, ignore_errors=True)
            with new_directory(out) as beside:
                fill(beside)
    return out


def _prefix(out: Path) -> str:
    return f".{out.name}-"
