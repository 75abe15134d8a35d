"""Media of a sample that no model here can look at or listen to: videos and sounds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

_KINDS = ("video", "audio", "sound", "speech")
_ENDS = ("", "s", "_path", "_paths", "_file", "_files", "_url", "_urls")
_PLAIN = [f"{kind}{end}" for kind in _KINDS for end in _ENDS]
KEYS = frozenset(spelling for key in _PLAIN for spelling in (key, key.title(), key.capitalize(), key.upper()))
"""Under which such media stand, with the usual capitals."""
_FILES = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".mpg", ".mpeg", ".wav", ".mp3", ".flac", ".ogg", ".m4a")

REASON = "unsupported content"
WANTED = "no model here can look at or listen to; leave the sample out, or give frames as images"
"""Ends the sentence about it."""


def unseen_key(cells: Mapping[str, Any]) -> str | None:
    """Return the first key of a video or a sound that holds something; None where there is none."""
    if KEYS.isdisjoint(cells):
        return None
    return next((key for key, value in cells.items() if key in KEYS and value not in (None, "", [], {})), None)


def is_unseen_file(name: str) -> bool:
    """Return whether a path is one of a video or a sound."""
    return PurePath(name).suffix.lower() in _FILES
