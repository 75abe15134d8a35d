"""Remember between runs which files passed a check, so that terabytes are not read again to learn the same."""

from __future__ import annotations

import json
import logging
import threading
from pathlib import Path

from pathplugins.core.files import write_text_whole
from pathplugins.core.json_values import parse_json

Stamp = tuple[int, int]
"""Size in bytes and modification time in nanoseconds: a file whose stamp differs has changed and is checked again."""

_VERSION = 1

logger = logging.getLogger(__name__)


class PassedChecks:
    """The files that passed, kept in one JSON file shared by ranks and later runs.

    Only successes are kept: a file that failed is looked at again next time. Losing the record costs time and nothing
    else, so a damaged one is started anew and one that cannot be written is a warning.
    """

    def __init__(self, path: Path | None, key: str) -> None:
        """Read the record at ``path``; ``key`` names the check and its settings, of which each has its own passes."""
        self._path = path
        self._key = key
        self._known = _read(path).get(key, {}) if path else {}
        self._new: dict[str, list[int]] = {}
        self._lock = threading.Lock()

    def stamp(self, file: str) -> Stamp | None:
        """Return size and time of a file, or None; taken before the check, it shows a change during the check."""
        try:
            status = Path(file).stat()
        except (OSError, ValueError):  # ValueError: the reference is no path at all
            return None
        return status.st_size, status.st_mtime_ns

    def has(self, file: str, stamp: Stamp | None) -> bool:
        """Return whether exactly this file has passed before."""
        return stamp is not None and self._known.get(_place(file)) == list(stamp)

    def add(self, file: str, stamp: Stamp | None) -> None:
        """Note that a file passed."""
        if stamp is not None:
            with self._lock:
                self._new[_place(file)] = list(stamp)

    def save(self) -> None:
        """Write the new passes, together with those that others have written meanwhile."""
        if self._path is None or not self._new:
            return
        passed = _read(self._path)
        passed[self._key] = {**passed.get(self._key, {}), **self._new}
        try:
            write_text_whole(self._path, json.dumps({"version": _VERSION, "passed": passed}))
        except OSError as error:
            logger.warning("the checked files cannot be remembered in %s and will be read again: %s", self._path, error)


def _place(file: str) -> str:
    return str(Path(file).absolute())


def _read(path: Path) -> dict[str, dict[str, list[int]]]:
    try:
        content = parse_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        logger.warning("%s is not readable as a record of checked files, starting anew: %s", path, error)
        return {}
    if not isinstance(content, dict) or content.get("version") != _VERSION:
        logger.warning("%s was written by another version, starting anew", path)
        return {}
    return content["passed"]
