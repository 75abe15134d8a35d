"""Images of a sample: a path or a list of paths under the key of its format, and no other medium under another key.

A sample whose images stand under a key that nobody reads is no text: it is reported, so that a mixture of data trains
on what it says.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from pathplugins.data.formats.reading.rows import BadRowError, checked_text, shown
from pathplugins.data.formats.reading.unseen import REASON, WANTED, is_unseen_file

_IMAGE_FILES = (
    ".png",
    ".jpg",
    ".jpeg",
    ".tif",
    ".tiff",
    ".bmp",
    ".webp",
    ".gif",
    ".h5",
    ".hdf5",
    ".pt",
    ".npy",
    ".svs",
)
_LIKE_IMAGE = ("image", "images", "img", "imgs", "picture", "pictures", "photo", "photos", "pixel_values")
_IMAGE_ENDS = ("_path", "_paths", "_file", "_files", "_url", "_urls", "_name", "_names", "_list", "s")
_PATH_LENGTH = 1024  # a longer text is none
_NO_IMAGES = ("id", "conversations", "messages", "meta", "source")


def images_in(cells: Mapping[str, Any], *names: str) -> tuple[str, ...]:
    """Return the images of a sample: a path, a list of paths, or nothing, under one of ``names``.

    Raises:
        BadRowError: anything else there, images under two of the names or under a key that is none of them, or files
            of another medium.
    """
    name = names[0]
    if len(names) > 1:
        held = [other for other in names if cells.get(other)]
        if len(held) > 1:
            said = f"{' and '.join(held)} both name images; expected one of them"
            raise BadRowError("no image", said)
        name = held[0] if held else name
    if images := images_of(cells.get(name), name):
        return images
    for key, value in cells.items():
        if key not in names and key not in _NO_IMAGES and value:
            _refuse_misread(key, value, names)
    return ()


def images_of(value: Any, name: str) -> tuple[str, ...]:
    """Return the images in a cell that holds a path, a list of paths, or nothing.

    Raises:
        BadRowError: anything else.
    """
    if value.__class__ is str and value.isascii() and (image := value.strip()):
        return (image,)
    if value is None or value == "":
        return ()
    images = value if isinstance(value, list) else [value]
    if not all(isinstance(image, str) and image.strip() for image in images):
        raise BadRowError("no image", f"{name} is {shown(value)}; expected a path, a list of paths, or nothing")
    return tuple([checked_text(image, name).strip() for image in images])


def _refuse_misread(key: str, value: Any, names: tuple[str, ...]) -> None:
    """Raise ``BadRowError`` if a value that nobody reads is, by its key or its file, an image or another medium."""
    first = value[0] if isinstance(value, list) else value
    file = first if isinstance(first, str) and len(first) < _PATH_LENGTH else ""
    if is_unseen_file(file):
        raise BadRowError(REASON, f"{key} is {shown(value)}, which {WANTED}")
    named = _reads_like_image(key) and isinstance(value, str | list | dict)
    if named or PurePath(file).suffix.lower() in _IMAGE_FILES:
        raise BadRowError(
            "misread key",
            f"{key} is {shown(value)}, which this format does not read; images stand under {' or '.join(names)}: "
            "rename the key",
        )


def _reads_like_image(key: str) -> bool:
    plain = key.casefold().replace("-", "_").replace(" ", "_")
    for end in _IMAGE_ENDS:
        if plain.removesuffix(end) in _LIKE_IMAGE:
            return True
    return bool(difflib.get_close_matches(plain, _LIKE_IMAGE[:4], n=1, cutoff=0.8))
