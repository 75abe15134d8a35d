"""Names of images as lists of them are compared: without folders, then without the suffix of a picture."""

from __future__ import annotations

from pathlib import PurePosixPath

_PICTURES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp", ".gif")


def name(image: str) -> str:
    """Return the name of the file."""
    return image.replace("\\", "/").rpartition("/")[2]


def stem(image: str) -> str:
    """Return the name without the suffix, if that is one of a picture: ``two.v1`` stays."""
    path = PurePosixPath(name(image))
    return path.stem if path.suffix.lower() in _PICTURES else path.name
