"""Tensors of a PyTorch file: a storage of bytes, and where in it each tensor lies."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pathplugins.core.errors import CheckpointError
from pathplugins.weights.stored import BYTES, Stored

if TYPE_CHECKING:
    from torch import Tensor


class Storage(ABC):
    """A run of numbers in a file, which several tensors may share."""

    path: Path
    dtype: str
    key: str
    """Its name in the file."""

    @abstractmethod
    def bytes(self, start: int, stop: int) -> bytearray:
        """Return bytes ``start`` to ``stop``; a storage that is missing, short or damaged is a `CheckpointError`."""

    def damaged(self, reason: str) -> CheckpointError:
        """Return the error of a storage that is not as the file says."""
        return CheckpointError(
            f"{self.path}: not a whole PyTorch file (storage {self.key} {reason}); download or copy it again"
        )


@dataclass(frozen=True)
class Strided(Stored):
    """A tensor somewhere in a storage; only its own span of bytes is read."""

    storage: Storage
    offset: int
    """Place of the first value in the storage, in values."""
    stride: tuple[int, ...]

    def read(self) -> Tensor:
        """Return the tensor."""
        return self._part(self.offset, self.shape)

    def rows(self, start: int, stop: int) -> Tensor:
        """Return some rows of the first axis."""
        start, stop, _ = slice(start, stop).indices(self.shape[0])
        return self._part(self.offset + start * self.stride[0], (max(stop - start, 0), *self.shape[1:]))

    def _part(self, offset: int, shape: tuple[int, ...]) -> Tensor:
        import torch

        dtype, width = getattr(torch, self.dtype), BYTES[self.dtype]
        if 0 in shape:
            return torch.empty(shape, dtype=dtype)
        span = 1 + sum((count - 1) * step for count, step in zip(shape, self.stride, strict=True))
        if offset < 0 or min((0, *shape, *self.stride)) < 0:
            raise self.storage.damaged("has a tensor of negative size")
        values = torch.frombuffer(self.storage.bytes(offset * width, (offset + span) * width), dtype=dtype)
        return values.as_strided(shape, self.stride)
