"""Content of a PyTorch file as versions since 1.6 write it: a zip archive of one pickle and an entry per storage."""

from __future__ import annotations

import errno
import pickle
import struct
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

from pathplugins.core.errors import CheckpointError
from pathplugins.weights.inert_pickle import TensorUnpickler
from pathplugins.weights.strided import Storage

DAMAGED = (
    *(zipfile.BadZipFile, pickle.UnpicklingError, EOFError, LookupError, TypeError, ValueError, AttributeError),
    *(zlib.error, NotImplementedError, OverflowError, MemoryError),
)
"""Exceptions that a file cut short or damaged can raise at any point of reading; a length that it invents may be more
than there is memory, and what is read here is short."""
_BLOCK_BYTES = 2**24
_NAME_LENGTHS = 26
"""Place of the lengths of name and extra field in the header before an entry."""


def archive_content(path: Path) -> Any:
    """Return what ``torch.save`` was given, every tensor as a `Strided`, every other object inert.

    Raises:
        CheckpointError: The file is cut short or damaged, holds a TorchScript program, or is no file of PyTorch.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = {info.filename: info for info in archive.infolist()}
            pickled = next((name for name in entries if name.endswith("/data.pkl")), None)
            if pickled is None:
                raise CheckpointError(f"{path}: a zip archive that torch.save did not write; unpack it first")
            root = pickled.removesuffix("data.pkl")
            if f"{root}constants.pkl" in entries:
                raise CheckpointError(
                    f"{path}: a TorchScript program, not weights; give the state dict that it was made from"
                )
            if f"{root}byteorder" in entries and archive.read(f"{root}byteorder") != b"little":
                raise CheckpointError(f"{path}: written on a big-endian machine; save it again on a common one")
            found = _Entries(path, root, entries)
            with archive.open(pickled) as file:
                return TensorUnpickler(file, lambda dtype, key, _: _InArchive(found, dtype, key)).load()
    except CheckpointError:
        raise
    except DAMAGED as error:
        raise not_whole(path, error) from error
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        raise not_whole(path, error) from error  # zipfile went to a place before the file's first byte


def not_whole(path: Path, error: Exception) -> CheckpointError:
    """Return the error of a file that raised one of `DAMAGED`."""
    where = f"damaged, or cut short at {path.stat().st_size} bytes: {type(error).__name__}"
    return CheckpointError(f"{path}: not a whole PyTorch file ({where}); download or copy it again")


class _Entries:
    """The entries of an archive, and which of them were compared with their checksums."""

    def __init__(self, path: Path, root: str, entries: dict[str, zipfile.ZipInfo]) -> None:
        self.path, self.root, self.entries = path, root, entries
        self.checked: set[str] = set()


class _InArchive(Storage):
    def __init__(self, archive: _Entries, dtype: str, key: str) -> None:
        self.archive, self.dtype, self.key, self.path = archive, dtype, key, archive.path

    def bytes(self, start: int, stop: int) -> bytearray:
        """Return some bytes of the storage."""
        name = f"{self.archive.root}data/{self.key}"
        entry = self.archive.entries.get(name)
        if entry is None:
            raise self.damaged("is missing")
        if stop > entry.file_size:
            raise self.damaged(f"has {entry.file_size} bytes, at least {stop} wanted")
        if entry.compress_type != zipfile.ZIP_STORED:
            return self._unpacked(name)[start:stop]
        with self.path.open("rb") as file:
            begin = self._begin(file, entry)
            data = self._exactly(file, begin + start, stop - start)
            if name not in self.archive.checked:
                whole = len(data) == entry.file_size
                if (zlib.crc32(data) if whole else _checksum(file, begin, entry.file_size)) != entry.CRC:
                    raise self.damaged("differs from its checksum")
                self.archive.checked.add(name)
        return data

    def _begin(self, file: IO[bytes], entry: zipfile.ZipInfo) -> int:
        """Return where in the file the bytes of an entry begin."""
        lengths = self._exactly(file, max(0, entry.header_offset) + _NAME_LENGTHS, 4)
        return entry.header_offset + _NAME_LENGTHS + 4 + sum(struct.unpack("<HH", lengths))

    def _exactly(self, file: IO[bytes], begin: int, count: int) -> bytearray:
        data = bytearray(count)
        file.seek(begin)
        if file.readinto(data) != count:
            raise self.damaged("is cut short")
        return data

    def _unpacked(self, name: str) -> bytearray:
        """Return a storage of an archive that somebody packed again with compression."""
        try:
            with zipfile.ZipFile(self.path) as archive:
                return bytearray(archive.read(name))
        except DAMAGED as error:
            raise self.damaged(f"raises {type(error).__name__}") from error


def _checksum(file: IO[bytes], begin: int, count: int) -> int:
    file.seek(begin)
    total = 0
    while count > 0 and (block := file.read(min(count, _BLOCK_BYTES))):
        total = zlib.crc32(block, total)
        count -= len(block)
    return total
