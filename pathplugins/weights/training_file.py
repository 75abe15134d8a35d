"""Weights out of a training checkpoint that holds Python objects as well, none of which is built or run.

XTuner's ``.pth`` has the log buffers of mmengine beside the weights, functions among them, and DeepSpeed's has its
configuration. PyTorch's safe reader refuses such a file as a whole, its other reader runs whatever the file says. Here
the pickle may name anything: all but tensors becomes an object that does nothing. Tensors are read when asked for, so
that gigabytes of optimizer state are not.
"""

from __future__ import annotations

import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pathplugins.core.errors import CheckpointError

LEVELS = ("module", "state_dict", "model")
"""Below which the weights may lie: DeepSpeed's name, XTuner's, everybody's."""
_TYPES = {
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "DoubleStorage": torch.float64,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}

_DAMAGED = (zipfile.BadZipFile, LookupError, TypeError, ValueError)
"""What a file that is not whole raises, wherever it is read."""


def lazy_tensors(path: Path) -> dict[str, Callable[[], Tensor]]:
    """The named tensors of a PyTorch file, each as a function that reads it, on the CPU.

    Raises:
        CheckpointError: The file is no zip archive of PyTorch (1.6 or newer), or a damaged one.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            pickled = next(name for name in archive.namelist() if name.endswith("/data.pkl"))
            with archive.open(pickled) as file:
                content = _Unpickler(file).load()
    except (StopIteration, pickle.UnpicklingError, EOFError, AttributeError, *_DAMAGED) as error:
        raise CheckpointError(f"{path}: not a whole PyTorch file ({type(error).__name__}); copy it again") from error
    for level in LEVELS:
        if isinstance(content, Mapping) and isinstance(content.get(level), Mapping):
            content = content[level]
    if not isinstance(content, Mapping):
        got = {_Inert: "Python object", _Place: "tensor"}.get(type(content), type(content).__name__)
        raise CheckpointError(f"{path}: wanted a dictionary of tensors, got a {got}")
    storages = _Storages(path, pickled.removesuffix("data.pkl"))
    return {name: partial(storages.tensor, value) for name, value in content.items() if isinstance(value, _Place)}


class _Storage(NamedTuple):
    dtype: torch.dtype
    key: str


class _Place(NamedTuple):
    """Where a tensor lies in the file."""

    storage: _Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


def _place(storage: Any, offset: int, size: Any, stride: Any, *_: Any) -> Any:
    return _Place(storage, offset, tuple(size), tuple(stride)) if isinstance(storage, _Storage) else _Inert()


class _Storages:
    """What the tensors of a file lie in; the last one read is kept, for DeepSpeed lays all weights into one."""

    def __init__(self, path: Path, root: str) -> None:
        self.path, self.root = path, root
        self.key, self.stored = "", bytearray()

    def tensor(self, place: _Place) -> Tensor:
        """A copy of the tensor at ``place``."""
        if 0 in place.size:
            return torch.empty(place.size, dtype=place.storage.dtype)
        try:
            if self.key != place.storage.key:
                with zipfile.ZipFile(self.path) as archive:
                    self.stored = bytearray(archive.read(f"{self.root}data/{place.storage.key}"))
                self.key = place.storage.key
            flat = torch.frombuffer(self.stored, dtype=place.storage.dtype)
            return flat.as_strided(place.size, place.stride, place.offset).clone()
        except (RuntimeError, *_DAMAGED) as error:
            raise CheckpointError(
                f"{self.path}: not a whole PyTorch file ({type(error).__name__} in storage {place.storage.key}); copy "
                "it again"
            ) from error


class _Inert:
    """Stands for every class, function and object that is no tensor."""

    def __new__(cls, *_: Any, **__: Any) -> _Inert:
        return super().__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def _ignore(self, *_: Any, **__: Any) -> _Inert:
        return self

    __call__ = __setstate__ = __setitem__ = append = extend = add = _ignore


class _Unpickler(pickle.Unpickler):
    """Knows the few names tensors are made of; every other is inert."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _place
        if (module, name) == ("torch._utils", "_rebuild_parameter"):
            return lambda place, *_: place
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        return _TYPES.get(name, _Inert) if module == "torch" else _Inert

    def persistent_load(self, pid: Any) -> Any:
        kind, dtype, key, *_ = pid
        return _Storage(dtype, key) if kind == "storage" and isinstance(dtype, torch.dtype) else _Inert()
