"""Content of a file, however large: a print of its size and of blocks spread over it, for telling files apart."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from pathplugins.core.walk import files_below

_BLOCK_BYTES = 64 * 1024
_BLOCKS = 10  #: the head, the tail, and eight between them
_FILES = 16  #: of a folder, that are looked into; names and sizes of all count


def content_print(path: Path) -> str:
    """Return a print of what a file holds: equal for copies wherever they lie, and after a move.

    A slide of gigabytes costs ten short reads; a file of up to 640 KiB is read whole. Changes between the blocks of a
    larger one that keep its size pass unnoticed: this tells two slides apart and is no checksum. A folder, and the
    folder that belongs to a ``.mrxs``, are told by names and sizes of all files but hidden ones, and blocks of a
    few.

    Returns:
        ``<bytes>-<16 hex digits>``.

    Raises:
        OSError: it cannot be read.
    """
    digest = hashlib.blake2b(digest_size=8)
    if path.is_dir():
        return f"{_feed_folder(digest, path)}-{digest.hexdigest()}"
    size = _feed_file(digest, path)
    beside = path.with_suffix("")
    if path.suffix.lower() == ".mrxs" and beside.is_dir():
        size += _feed_folder(digest, beside)
    return f"{size}-{digest.hexdigest()}"


def _feed_file(digest: Any, path: Path) -> int:
    """Feed size and blocks of a file; returns its size, bytes."""
    size = path.stat().st_size
    digest.update(f"{size};".encode())
    with path.open("rb", buffering=0) as file:
        if size <= _BLOCK_BYTES * _BLOCKS:
            digest.update(file.read())
            return size
        for number in range(_BLOCKS):
            file.seek((size - _BLOCK_BYTES) * number // (_BLOCKS - 1))
            digest.update(file.read(_BLOCK_BYTES))
    return size


def _feed_folder(digest: Any, folder: Path) -> int:
    """Feed names and sizes of all files below a folder, and blocks of a few; returns the sum of the sizes, bytes."""
    files = files_below(folder)
    sizes = [path.stat().st_size for path in files]
    for path, size in zip(files, sizes, strict=True):
        digest.update(f"{path.relative_to(folder).as_posix()}\0{size};".encode("utf-8", "surrogateescape"))
    for path in files[:: -(-len(files) // _FILES) or 1]:
        _feed_file(digest, path)
    return sum(sizes)
