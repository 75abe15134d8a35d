"""Members of an archive as a stream: only plain files and folders inside the target, each name once."""

from __future__ import annotations

import gzip
import io
import lzma
import re
import stat
import tarfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from pathplugins.core.errors import PathPluginsError

from .parts import Archive, Joined

BROKEN = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    gzip.BadGzipFile,
    EOFError,
    lzma.LZMAError,
    NotImplementedError,
    UnicodeDecodeError,  # of a name in a ZIP
)
"""What reading a damaged archive raises."""

_BUFFER = 2**20
_LATEST_S = 2**33  # in the year 2242; a time that no file can have would end the run
_DRIVE = re.compile(r"[A-Za-z]:")
_TAR_MAGIC = slice(257, 262)


class RefusedError(PathPluginsError):
    """A member that no honest archive of pictures has."""


@dataclass(frozen=True, kw_only=True)
class Member:
    """A file or folder of an archive."""

    name: str
    """Path inside the target, with ``/``."""
    is_folder: bool
    size: int
    """Bytes."""
    mtime_ns: int
    open: Callable[[], IO[bytes]]


class Guard:
    """Refuses members that would leave the target, are no plain files, or replace one another."""

    def __init__(self, *, fold_case: bool) -> None:
        """Compare names; ``fold_case`` where the file system takes ``A`` and ``a`` for one name."""
        self._fold = str.casefold if fold_case else str
        self._files: dict[str, str] = {}
        self._folders: dict[str, str] = {}

    def path(self, name: str, *, kind: str) -> str:
        """Return the path of a member inside the target, ``""`` for the target itself.

        Args:
            name: as the archive has it.
            kind: ``file``, ``folder``, or the word for anything else, which is refused.

        Raises:
            RefusedError: names the member and the reason.
        """
        if kind not in ("file", "folder"):
            raise _refused(name, f"is a {kind}, expected plain files and folders")
        if name.startswith(("/", "\\")) or _DRIVE.match(name):
            raise _refused(name, "is an absolute path")
        steps = [step for step in name.split("/") if step not in ("", ".")]
        if ".." in steps or "\\" in name or "\0" in name:
            raise _refused(
                name, "leads out of the target folder" if ".." in steps else "has a character that no path may"
            )
        for depth in range(1, len(steps) + (kind == "folder")):
            self._folder("/".join(steps[:depth]), name)
        path = "/".join(steps)
        if kind == "file":
            if not path:
                raise _refused(name, "is a file without a name")
            key = self._fold(path)
            if key in self._files:
                raise _refused(name, f"stands twice in the archive (as {self._files[key]!r} before)")
            if key in self._folders:
                raise _refused(name, "is a file where another member is a folder")
            self._files[key] = path
        return path

    def _folder(self, path: str, name: str) -> None:
        key = self._fold(path)
        if key in self._files:
            raise _refused(name, f"lies in {path!r}, which is a file")
        if self._folders.setdefault(key, path) != path:
            raise _refused(name, f"lies in a folder that differs only by case from {self._folders[key]!r}")


@contextmanager
def members_of(
    archive: Archive, *, fold_case: bool, told: Callable[[int], object] = lambda place: None
) -> Iterator[Iterator[Member]]:
    """Open an archive and give its members, each to be read before the next; the compression is told by its bytes.

    Args:
        archive: the archive.
        fold_case: see `Guard`.
        told: called with the place reached in the archive, bytes.

    Raises:
        RefusedError: while the members are taken: one of them is hostile.
        PathPluginsError: it is no archive that is known.
    """
    with Joined(archive.parts, told) as raw, io.BufferedReader(raw, _BUFFER) as file:
        head = file.peek(512)[:512]
        guard = Guard(fold_case=fold_case)
        if head.startswith(b"PK"):
            with zipfile.ZipFile(file) as opened:
                yield iter([_of_zip(opened, info, guard) for info in opened.infolist()])
        elif head.startswith(b"\x1f\x8b"):
            with gzip.GzipFile(fileobj=file) as unpacked:
                yield _of_tar(unpacked, guard)
        elif head[_TAR_MAGIC] == b"ustar":
            yield _of_tar(file, guard)
        else:
            raise PathPluginsError(
                f"{archive.parts[0]} starts with {head[:8]!r}, which is neither gzip, tar nor zip; is it the "
                "first part? Download it again"
            )


def _of_tar(file: IO[bytes], guard: Guard) -> Iterator[Member]:
    with tarfile.open(fileobj=file, mode="r|") as opened:
        while (info := opened.next()) is not None:
            kind = "file" if info.isreg() and not info.issparse() else "folder" if info.isdir() else _word(info)
            yield Member(
                name=guard.path(info.name, kind=kind),
                is_folder=kind == "folder",
                size=info.size,
                mtime_ns=int(min(max(info.mtime, 0), _LATEST_S) * 10**9),
                open=lambda info=info: opened.extractfile(info),  # type: ignore[misc, return-value]
            )
            opened.members = []  # it keeps an object for each, which is gigabytes for millions
    while file.read(_BUFFER):  # to the end: the checksum of gzip comes last, and a cut file is seen there
        pass


def _of_zip(opened: zipfile.ZipFile, info: zipfile.ZipInfo, guard: Guard) -> Member:
    mode = info.external_attr >> 16
    special = stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR)
    kind = "link or device" if special else "folder" if info.filename.endswith("/") else "file"
    if info.flag_bits & 1:
        raise _refused(info.filename, "is encrypted")
    return Member(
        name=guard.path(info.orig_filename, kind=kind),
        is_folder=kind == "folder",
        size=info.file_size,
        mtime_ns=int(time.mktime((*info.date_time, 0, 0, -1))) * 10**9,
        open=lambda: opened.open(info),
    )


def _word(info: tarfile.TarInfo) -> str:
    return "symbolic link" if info.issym() else "hard link" if info.islnk() else "device or special file"


def _refused(name: str, reason: str) -> RefusedError:
    return RefusedError(
        f"the archive has a member {name!r} that {reason}; nothing of it was kept: this is not the published archive, "
        "compare its MD5 and get it from its source"
    )
