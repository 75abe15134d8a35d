"""Containers of patch features that other tools write: one small file each, read block by block."""

from __future__ import annotations

import importlib
from contextlib import AbstractContextManager
from pathlib import Path

from pathplugins.core.errors import PathPluginsError

from .base import Geometry, Opened, Source
from .kinds import kind_of

__all__ = ["READERS", "WRITERS", "Geometry", "Opened", "Source", "kind_of", "open_source", "sources_in"]

READERS = {
    "pathplugins": "h5_bags",
    "clam": "h5_bags",
    "trident": "h5_bags",
    "stamp": "h5_bags",
    "pathgen-mil": "pathgen_mil",
    "slidechat-csv": "slidechat_csv",
    "wsi-llava-pt": "wsi_llava_pt",
}
"""Container -> module with ``sources`` and ``open_source``."""

WRITERS = ("pathplugins", "clam", "trident")


def sources_in(path: Path, kind: str) -> list[Source]:
    """The slides in one file of that kind."""
    return _reader(kind).sources(path, kind)


def open_source(source: Source) -> AbstractContextManager[Opened]:
    """One slide's features, open for as long as the block lasts."""
    return _reader(source.kind).open_source(source)


def _reader(kind: str) -> object:
    if kind not in READERS:
        raise PathPluginsError(f"no reader for features as {kind!r}; expected one of {', '.join(READERS)}")
    return importlib.import_module(f".{READERS[kind]}", __package__)
