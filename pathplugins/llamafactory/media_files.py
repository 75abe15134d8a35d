"""Files that whoever talks to a server of LLaMA-Factory names: by its rules, only those that it may read."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.files import is_file


def media_file(name: str) -> Path:
    """Return the file called ``name``, which lies below ``SAFE_MEDIA_PATH``.

    A relative name is looked up there, and then in the current folder. The answer for a place elsewhere is the same
    whether there is a file or not.

    Args:
        name: a path, as a user of the server wrote it.

    Raises:
        PathPluginsError: local files are switched off (``ALLOW_LOCAL_FILES=0``), or it lies elsewhere.
    """
    if os.environ.get("ALLOW_LOCAL_FILES", "1").lower() not in ("1", "true", "y"):
        raise PathPluginsError(f"{name}: this server reads no local files (ALLOW_LOCAL_FILES=0)")
    root = media_root().resolve()
    try:
        places = [(root / name).resolve(), Path(name).resolve()]
    except (OSError, ValueError, RuntimeError):  # longer than any name, with a null character, links in a circle
        places = []
    if below := [place for place in places if place.is_relative_to(root)]:
        return next((place for place in below if is_file(place)), below[0])
    raise PathPluginsError(
        f"{name} does not lie below SAFE_MEDIA_PATH, the one folder whose files this server may read; name a file of "
        "that folder, or start the server with SAFE_MEDIA_PATH=FOLDER"
    )


def media_root() -> Path:
    """Return ``SAFE_MEDIA_PATH``, by default the folder that LLaMA-Factory 0.9.4 and newer keep for it."""
    if folder := os.environ.get("SAFE_MEDIA_PATH"):
        return Path(folder)
    package = find_spec("llamafactory")
    return Path(str(package.origin)).parent / "api" / "safe_media"
