"""Walk through folders: links to folders are followed, each folder is visited once, hidden ones are left out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from pathplugins.core.errors import PathPluginsError


def walk_folders(folder: Path, been: set[tuple[int, int]] | None = None) -> Iterator[tuple[Path, list[str], list[str]]]:
    """Yield each folder with the names of the folders and of the files in it, sorted.

    Links are followed, as ``Path.rglob`` does not; one that leads back ends there. Names may be removed from the list
    of folders, which are then not entered.

    Args:
        folder: Where to begin.
        been: Folders that were visited, by device and inode; added to.

    Raises:
        PathPluginsError: a folder that may not be read.
    """
    been = set() if been is None else been

    def refuse(error: OSError) -> None:
        raise PathPluginsError(f"{error.filename}: cannot be searched ({error.strerror}); allow it, or move it away")

    for place, below, names in os.walk(folder, onerror=refuse, followlinks=True):
        status = os.stat(place)  # noqa: PTH116 - what os.walk gives
        if (status.st_dev, status.st_ino) in been:
            below.clear()
            continue
        been.add((status.st_dev, status.st_ino))
        below[:] = sorted(name for name in below if name[0] != ".")
        yield Path(place), below, sorted(name for name in names if name[0] != ".")


def files_below(folder: Path) -> list[Path]:
    """Return the files below a folder, at any depth and behind links, sorted; hidden ones are left out.

    Raises:
        PathPluginsError: a folder that may not be read.
    """
    return sorted(
        path for place, _, names in walk_folders(folder) for name in names if (path := place / name).is_file()
    )
