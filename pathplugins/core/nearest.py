"""Suggest the nearest right name for a mistyped one: a word of a list, or a path on disk."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

_SHOWN = 5


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that is most like ``word``, or None where none is like it."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return near[0] if near else None


def near_path(path: Path) -> str:
    """Return what to add to a message about a path that does not exist: the nearest one that does.

    The first folder or file name that is wrong is compared with the names beside it.

    Returns:
        ``"; did you mean saves/merged?"``, or the names of a small folder where none is like it, or ``""``. For a path
        that does exist, whether it is a folder or a file: the caller looked for the other.
    """
    path = path.expanduser()
    try:
        exists = path.exists()
    except OSError:  # a name too long to be any file's, or a folder that may not be read
        return ""
    if exists:
        return "; it is a folder: name one of its files" if path.is_dir() else "; it is a file, not a folder"
    missing = path
    while not missing.parent.is_dir():
        if missing.parent == missing:
            return ""
        missing = missing.parent
    names = sorted(each.name for each in missing.parent.iterdir() if not each.name.startswith("."))
    if name := nearest(missing.name, names):
        found = missing.with_name(name)
        whole = found / path.relative_to(missing)
        return f"; did you mean {whole if whole.exists() else found}?"
    if missing != path or not names or len(names) > _SHOWN:
        return ""
    return f"; {missing.parent.resolve().name or missing.parent} holds {', '.join(names)}"
