"""Containers of patch features, ours and those of other tools: one module each, read block by block."""

from __future__ import annotations

import importlib
from contextlib import AbstractContextManager
from pathlib import Path

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.registry import unknown

from .base import Geometry, Opened, Source
from .kinds import kind_of

__all__ = ["READERS", "WRITERS", "Geometry", "Opened", "Source", "kind_of", "open_source", "sources_in"]

READERS = {
    "pathplugins": "h5_bags",
    "clam": "h5_bags",
    "trident": "h5_bags",
    "stamp": "h5_bags",
    "h5-features": "h5_features",
    "pathgen-mil": "pathgen_mil",
    "histai-instruct": "histai_instruct",
    "slidechat-csv": "slidechat_csv",
    "wsi-llava-pt": "wsi_llava_pt",
}
"""Container -> module with ``sources`` and ``open_source``."""

WRITERS = ("pathplugins", "clam", "trident", "bare")
"""Layouts that are written; ``bare`` holds features alone, for towers that ask for no positions."""


def sources_in(path: Path, kind: str) -> list[Source]:
    """Return the slides in one file of that kind."""
    return _reader(kind).sources(path, kind)


def open_source(source: Source) -> AbstractContextManager[Opened]:
    """Open one slide's features for the duration of the ``with`` block."""
    return _reader(source.kind).open_source(source)


def _reader(kind: str) -> object:
    if kind not in READERS:
        raise PathPluginsError(unknown("kind of features", kind, READERS))
    return importlib.import_module(f".{READERS[kind]}", __package__)
