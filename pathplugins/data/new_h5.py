"""New HDF5 files, whole or not at all, also where the disk is full.

HDF5 is never told that a write failed: it then keeps objects that it can no longer close, and 2.0 ends the process with
a bus error when they are freed. So it writes through a `Disk`, which keeps the error and takes the rest for written.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import h5py

from pathplugins.core.files import replacing

T = TypeVar("T")


class Disk(io.FileIO):
    """A file that HDF5 writes to; the first error of the disk is kept, and raised where it can be handled."""

    error: OSError | None = None

    def write(self, data: memoryview | bytes) -> int:
        """Write all of it, at the current position; pretends to where the disk has refused."""
        rest = memoryview(data)
        try:
            while self.error is None and rest:
                rest = rest[super().write(rest) :]
        except OSError as error:
            self.error = error
        if rest:
            self.seek(len(rest), os.SEEK_CUR)
        return len(data)

    def truncate(self, size: int | None = None) -> int:
        """Set the size; pretends to where the disk has refused."""
        try:
            return super().truncate(size)
        except OSError as error:
            self.error = self.error or error
            return self.tell() if size is None else size

    def checked(self, items: Iterable[T]) -> Iterator[T]:
        """Yield the items; raises as `check` before the next is made."""
        for item in items:
            yield item
            self.check()

    def check(self) -> None:
        """Raise the error that the disk has answered with, if any."""
        if self.error is not None:
            raise self.error


@contextmanager
def new_h5(path: Path) -> Iterator[tuple[h5py.File, Disk]]:
    """Give a new HDF5 file to fill: it appears under ``path`` when the block ends well, in place of an older one.

    Yields:
        The file, and the disk below it: ``check()`` raises early what is raised at the end of the block anyway.

    Raises:
        OSError: the disk is full, or refuses otherwise.
    """
    with replacing(path) as temporary, Disk(temporary, "x+") as disk:
        try:
            with h5py.File(disk, "w") as file:
                yield file, disk
        except (OSError, RuntimeError, KeyError):
            disk.check()  # h5py read what was never written
            raise
        disk.check()
        os.fsync(disk.fileno())  # else the name may outlive a power cut and the content not
