"""Tensors that still lie in a file: type and shape are known, values are read when asked for."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

BYTES = {
    **{"float32": 4, "float16": 2, "bfloat16": 2, "float64": 8, "complex64": 8, "complex128": 16},
    **{"int64": 8, "int32": 4, "int16": 2, "int8": 1, "uint8": 1, "uint16": 2, "uint32": 4, "uint64": 8, "bool": 1},
    **{"float8_e4m3fn": 1, "float8_e5m2": 1, "float8_e4m3fnuz": 1, "float8_e5m2fnuz": 1},
}
"""torch's names of the types of numbers -> bytes of one number."""


@dataclass(frozen=True)
class Stored(ABC):
    """A tensor in a file."""

    dtype: str
    """torch's name of the type: ``float32``, ``bfloat16``, ..."""
    shape: tuple[int, ...]

    @property
    def numel(self) -> int:
        """Number of values."""
        return math.prod(self.shape)

    @abstractmethod
    def read(self) -> Tensor:
        """Return the tensor, on the CPU, in memory of its own."""

    @abstractmethod
    def rows(self, start: int, stop: int) -> Tensor:
        """Return rows ``start`` to ``stop`` of the first axis; nothing else is read from the file."""
