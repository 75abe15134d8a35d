"""Names of slide files: their suffixes, the name of a slide, and the key that all spellings of it share."""

from __future__ import annotations

from pathlib import Path

SLIDE_SUFFIXES = (
    *(".svs", ".tif", ".tiff", ".ndpi", ".mrxs", ".scn", ".bif", ".vms", ".vmu", ".svslide", ".czi", ".dcm", ".zarr"),
    *(".png", ".jpg", ".jpeg"),
)
"""Suffixes of slide files, in lower case; nothing else after a dot of a slide's name is a suffix."""


def slide_key(name: str) -> str:
    """Return the key that all spellings of a slide share: case folded, without the suffix of a slide file."""
    key = name.casefold()
    return key.rpartition(".")[0] if key.endswith(SLIDE_SUFFIXES) else key


def slide_name(path: Path) -> str:
    """Return the name of a slide, by which its files are called: without its suffix, a folder of DICOM as it is."""
    if path.suffix.lower() not in SLIDE_SUFFIXES and path.is_dir():
        return path.name  # often a UID, whose last number is no suffix
    return path.stem
