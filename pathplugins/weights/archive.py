"""Archives of weights as they are downloaded (``plip.tar.gz``): unpacked once, into a cache, and nowhere else."""

from __future__ import annotations

import contextlib
import gzip
import lzma
import re
import shutil
import tarfile
import zlib
from pathlib import Path, PurePosixPath

from pathplugins.core.content import content_print
from pathplugins.core.errors import CheckpointError
from pathplugins.core.files import temporary_beside

SUFFIXES = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar")
MAX_FILES = 10_000  #: more than any checkpoint has
_DAMAGED = (tarfile.TarError, gzip.BadGzipFile, zlib.error, lzma.LZMAError, EOFError)
_JUNK = re.compile(r"\._.*|\.DS_Store|__MACOSX")  # what macOS adds
_DRIVE = re.compile(r"[A-Za-z]:")


def is_archive(path: Path) -> bool:
    """Return whether a path is a file that is named as a tar archive."""
    return path.name.lower().endswith(SUFFIXES) and path.is_file()


def unpacked(path: Path, cache: Path) -> Path:
    """Return what an archive holds: its one folder or file, or a folder with all of it; any other path as it is.

    It is unpacked below ``cache`` once for each content, whole or not at all.

    Args:
        path: The archive.
        cache: A folder of ours.

    Raises:
        CheckpointError: the archive is damaged, is too large for the disk, or has members that are no plain files or
            would lie outside.
    """
    if not is_archive(path):
        return path
    folder = cache / "archives" / f"{path.name.partition('.')[0]}-{content_print(path)}"
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = temporary_beside(folder)
        try:
            _unpack(path, temporary)
            with contextlib.suppress(OSError):  # another process was quicker
                temporary.rename(folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    held = sorted(folder.iterdir())
    return held[0] if len(held) == 1 else folder


def _unpack(path: Path, folder: Path) -> None:
    folder.mkdir()
    free, written, names = shutil.disk_usage(folder).free, 0, set[PurePosixPath]()
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                name = _inside(path, member)
                if name is None:
                    continue
                written += member.size
                if written > free or len(names) >= MAX_FILES or name in names:
                    full = f"{written} bytes and more, {free} are free"
                    fault = full if written > free else f"more than {MAX_FILES} files, or one twice"
                    raise CheckpointError(f"{path}: {fault}; unpack it by hand and give the folder")
                names.add(name)
                target = folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                source = archive.extractfile(member)
                with target.open("xb") as file:
                    shutil.copyfileobj(source, file, 2**20)
            while archive.fileobj.read(2**20):  # to the end: the checksum of the compressed stream comes last
                pass
    except _DAMAGED as error:
        raise CheckpointError(
            f"{path}: damaged or incomplete ({error or type(error).__name__}); download it again"
        ) from error
    if not names:
        raise CheckpointError(f"{path}: holds no files; download it again")


def _inside(path: Path, member: tarfile.TarInfo) -> PurePosixPath | None:
    """Return the place of a file below the target; None for folders and what macOS adds.

    Raises:
        CheckpointError: it is no plain file, or lies outside.
    """
    name = PurePosixPath(member.name)
    if member.isdir() or any(_JUNK.fullmatch(part) for part in name.parts):
        return None
    outside = name.is_absolute() or ".." in name.parts or "\\" in member.name or _DRIVE.match(member.name)
    if outside or not member.isfile():
        fault = "would lie outside the folder" if outside else "is no plain file"
        raise CheckpointError(f"{path}: its member {member.name!r} {fault}; take the archive from its authors")
    return name
