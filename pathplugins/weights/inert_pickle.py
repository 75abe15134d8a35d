"""Unpickle the content of a PyTorch file while nothing that it names is built or run.

XTuner's ``.pth`` has the log buffers of MMEngine beside the weights, functions among them, and DeepSpeed's has its
configuration. PyTorch's safe reader refuses such a file as a whole, its other reader runs whatever the file says. Here
the pickle may name anything: all but tensors and plain containers becomes an object that does nothing.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from collections.abc import Callable
from typing import IO, Any

from pathplugins.weights.stored import BYTES
from pathplugins.weights.strided import Storage, Strided

_STORAGES = {
    **{"FloatStorage": "float32", "HalfStorage": "float16", "BFloat16Storage": "bfloat16", "DoubleStorage": "float64"},
    **{"LongStorage": "int64", "IntStorage": "int32", "ShortStorage": "int16", "CharStorage": "int8"},
    **{"ByteStorage": "uint8", "BoolStorage": "bool"},
    **{"ComplexFloatStorage": "complex64", "ComplexDoubleStorage": "complex128"},
}
"""Names of storage classes in ``torch`` -> the type of their numbers."""

FindStorage = Callable[[str, str, int], Storage]
"""(type of the numbers, key of the storage, number of values) -> where its bytes are."""


class Inert:
    """Stand-in for every class, function and object that is no tensor; ``named`` says which one it was."""

    named = "object"

    def __new__(cls, *_: Any, **__: Any) -> Inert:  # noqa: D102
        return super().__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def _ignore(self, *_: Any, **__: Any) -> Inert:
        return self

    __call__ = __setstate__ = __setitem__ = append = extend = add = _ignore


class TensorUnpickler(pickle.Unpickler):
    """Unpickler that knows the few names tensors are made of; every other becomes `Inert`."""

    def __init__(self, file: IO[bytes], find_storage: FindStorage) -> None:
        super().__init__(file)
        self._find_storage = find_storage

    def find_class(self, module: str, name: str) -> Any:
        """Return what a pickle gets for a name: a maker of a stored tensor, a container, a type, or an inert class."""
        if (module, name) in _MAKERS:
            return _MAKERS[module, name]
        if module == "torch" and name in _STORAGES:
            return _StorageType(_STORAGES[name])
        if module == "torch" and name in BYTES:
            return _DType(name)
        if module == "torch.storage" and name == "UntypedStorage":
            return _StorageType("uint8")
        return type(name, (Inert,), {"named": f"{module}.{name}"})

    def persistent_load(self, pid: Any) -> Any:
        """Return the place of a storage; its bytes stay where they are."""
        if isinstance(pid, tuple) and len(pid) == 4 and pid[0] == "module":
            return pid[1]  # the class of a whole pickled module with its source, from before PyTorch 1.6
        if not isinstance(pid, tuple) or len(pid) < 5 or not isinstance(pid[1], _StorageType):
            return Inert
        _, dtype, key, _, numel, *view = pid
        if view and isinstance(view[0], tuple):  # before PyTorch 0.4: a part of another storage
            raise pickle.UnpicklingError("a view of a storage")
        return self._find_storage(dtype.name, str(key), int(numel))


class _StorageType:
    def __init__(self, name: str) -> None:
        self.name = name


class _DType:
    def __init__(self, name: str) -> None:
        self.name = name


def _tensor(storage: Any, offset: int, size: Any, stride: Any, *_: Any) -> Any:
    if not isinstance(storage, Storage):
        return Inert()
    return Strided(storage.dtype, tuple(size), storage, offset, tuple(stride))


def _tensor_v3(storage: Any, offset: int, size: Any, stride: Any, *more: Any) -> Any:
    """Return a tensor of a type without a storage class; ``more`` is (requires_grad, hooks, dtype)."""
    if not isinstance(storage, Storage) or len(more) < 3 or not isinstance(more[2], _DType):
        return Inert()
    return Strided(more[2].name, tuple(size), storage, offset, tuple(stride))


def _parameter(data: Any, *_: Any) -> Any:
    return data


def _from_type(make: Any, _: Any, args: Any, *__: Any) -> Any:
    """Return the bare tensor of one of a subclass, or of one with attributes."""
    return make(*args) if make in (_tensor, _tensor_v3) else Inert()


_MAKERS = {
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_tensor_v3"): _tensor_v3,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): _parameter,
    ("torch._tensor", "_rebuild_from_type_v2"): _from_type,
    ("torch", "Size"): tuple,
    ("collections", "OrderedDict"): OrderedDict,
}
