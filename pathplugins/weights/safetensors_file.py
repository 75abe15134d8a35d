"""Tensors of a safetensors file, by its header."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pathplugins.core.errors import CheckpointError
from pathplugins.weights.stored import Stored

if TYPE_CHECKING:
    from torch import Tensor

_TYPES = {
    **{"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"},
    **{"F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2", "C64": "complex64"},
    **{"I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8"},
    **{"U64": "uint64", "U32": "uint32", "U16": "uint16", "U8": "uint8", "BOOL": "bool"},
}
"""Names of types in the header -> torch's."""


def stored_in_safetensors(path: Path) -> dict[str, Stored]:
    """Return the tensors of a file by name; only its header is read.

    Raises:
        CheckpointError: The file is damaged, cut short, or holds a type that is not known here.
    """
    stored: dict[str, Stored] = {}
    with _opened(path) as file:
        for name in file.keys():  # noqa: SIM118  (it is no dictionary)
            entry = file.get_slice(name)
            kind = str(entry.get_dtype())
            if kind not in _TYPES:
                raise CheckpointError(f"{path}: {name} is of type {kind}, known are {', '.join(_TYPES)}; convert it")
            stored[name] = _InSafetensors(_TYPES[kind], tuple(entry.get_shape()), path, name)
    return stored


@dataclass(frozen=True)
class _InSafetensors(Stored):
    path: Path
    name: str

    def read(self) -> Tensor:
        """Return the tensor."""
        with _opened(self.path) as file:
            return file.get_tensor(self.name)

    def rows(self, start: int, stop: int) -> Tensor:
        """Return some rows of the first axis."""
        with _opened(self.path) as file:
            return file.get_slice(self.name)[start:stop]


def _opened(path: Path) -> Any:
    from safetensors import SafetensorError, safe_open

    try:
        return safe_open(path, framework="pt")
    except SafetensorError as error:
        raise CheckpointError(f"{path}: not a whole safetensors file ({error}); download it again") from error
