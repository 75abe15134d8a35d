"""Content of a PyTorch file as versions before 1.6 wrote it: pickles one after the other, then the storages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pathplugins.core.errors import CheckpointError
from pathplugins.weights.inert_pickle import TensorUnpickler
from pathplugins.weights.stored import BYTES
from pathplugins.weights.strided import Storage
from pathplugins.weights.torch_archive import DAMAGED, not_whole

MAGIC = 0x1950A86A20F9469CFC6C
"""What such a file begins with."""
_COUNT_BYTES = 8
"""Before each storage: how many values it has."""


def legacy_content(path: Path) -> Any:
    """Return what ``torch.save`` was given, every tensor as a `Strided`, every other object inert.

    Raises:
        CheckpointError: The file is cut short or damaged, or another pickle than PyTorch's.
    """
    storages: dict[str, _InFile] = {}
    size = path.stat().st_size

    def find(dtype: str, key: str, _: int) -> _InFile:
        return storages.setdefault(key, _InFile(path, dtype, key))

    try:
        with path.open("rb") as file:
            if TensorUnpickler(file, find).load() != MAGIC:
                raise CheckpointError(
                    f"{path}: a pickle that torch.save did not write; save its state dict with torch.save or as "
                    "safetensors"
                )
            _, system = (TensorUnpickler(file, find).load() for _ in range(2))
            if not system.get("little_endian", True):
                raise CheckpointError(f"{path}: written on a big-endian machine; save it again on a common one")
            content = TensorUnpickler(file, find).load()
            for key in TensorUnpickler(file, find).load():
                storage = storages[str(key)]
                storage.count = int.from_bytes(file.read(_COUNT_BYTES), "little") * BYTES[storage.dtype]
                storage.begin = file.tell()
                if storage.begin + storage.count > size:
                    raise EOFError
                file.seek(storage.count, 1)
    except CheckpointError:
        raise
    except DAMAGED as error:
        raise not_whole(path, error) from error
    return content


class _InFile(Storage):
    def __init__(self, path: Path, dtype: str, key: str) -> None:
        self.path, self.dtype, self.key = path, dtype, key
        self.begin = self.count = 0

    def bytes(self, start: int, stop: int) -> bytearray:
        """Return some bytes of the storage."""
        if stop > self.count:
            raise self.damaged(f"has {self.count} bytes, at least {stop} wanted")
        data = bytearray(stop - start)
        with self.path.open("rb") as file:
            file.seek(self.begin + start)
            if file.readinto(data) != len(data):
                raise self.damaged("is cut short")
        return data
