"""Recognise files that are no whole slide, by their first bytes and their TIFF directories."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

from pathplugins.core.file_heads import GIT_LFS_POINTER, WEB_PAGES

TIFF_HEADS = {b"II*\0": "<", b"MM\0*": ">", b"II+\0": "<", b"MM\0+": ">"}  #: first bytes -> byte order
BIG_TIFF = (b"II+\0", b"MM\0+")
MOST_DIRECTORIES = 10_000  #: a chain longer than this runs in a circle
AGAIN = "copy or download it again"
UNPACK = "unpack it and give the slides in it"
OTHER_KINDS = {
    b"\x89HDF\r\n\x1a\n": "it is an HDF5 file, not a slide: look at it with `pathdata inspect`",
    b"PK\x03\x04": f"it is a ZIP archive, or a .pt file, not a slide: {UNPACK}",
    b"\x1f\x8b": f"it is compressed with gzip, not a slide: {UNPACK}",
    b"7z\xbc\xaf\x27\x1c": f"it is a 7z archive, not a slide: {UNPACK}",
    b"Rar!": f"it is a RAR archive, not a slide: {UNPACK}",
    b"%PDF": "it is a PDF, not a slide: leave it out",
    b"PAR1": "it is a Parquet table, not a slide: leave it out",
}
"""First bytes -> what the file is."""
TAR_AT, TAR = 257, b"ustar"


def damage(path: Path) -> str | None:
    """Return what is wrong with a file that should be a slide, and what to do; None where no damage is recognised.

    Recognised are an empty file, a Git-LFS pointer, a web page, an archive, another kind of data, and a TIFF that ends
    before its last directory.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(TAR_AT + len(TAR))
        if not head:
            return f"the file is empty; {AGAIN}"
        if head.startswith(GIT_LFS_POINTER):
            return "it is a Git LFS pointer, not the slide: run `git lfs pull`"
        if head.lstrip().lower().startswith(WEB_PAGES):
            return f"it is a web page, not the slide; {AGAIN}"
        if kind := next((kind for start, kind in OTHER_KINDS.items() if head.startswith(start)), None):
            return kind
        if head[TAR_AT:] == TAR:
            return f"it is a tar archive, not a slide: {UNPACK}"
        return _cut_tiff(file, size) if head[:4] in TIFF_HEADS else None


def _cut_tiff(file: BinaryIO, size: int) -> str | None:
    """Follow the chain of directories of a TIFF; None if all of them lie within the file."""
    file.seek(0)
    head = file.read(16)
    order, big = TIFF_HEADS[head[:4]], head[:4] in BIG_TIFF
    count, entry_bytes, link = ("Q", 20, "Q") if big else ("H", 12, "I")
    count_bytes, link_bytes = struct.calcsize(order + count), struct.calcsize(order + link)
    first = 8 if big else 4
    if len(head) < first + link_bytes:
        return f"it ends after {size} bytes, within its header; {AGAIN}"
    (offset,) = struct.unpack_from(order + link, head, first)
    for _ in range(MOST_DIRECTORIES):
        if not offset:
            return None
        file.seek(min(offset, size))
        entries = file.read(count_bytes)
        if len(entries) == count_bytes:
            after = offset + count_bytes + struct.unpack(order + count, entries)[0] * entry_bytes
            file.seek(min(after, size))  # numbers of eight bytes may lie behind the last place there is
            following = file.read(link_bytes)
            if len(following) == link_bytes:
                (offset,) = struct.unpack(order + link, following)
                continue
        return f"it was cut off after {size} bytes, before the end of its TIFF directory at byte {offset}; {AGAIN}"
    return None
