"""Weights of any file, each tensor read when it is asked for: a language model fits in no memory twice."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from torch import Tensor

from pathplugins.weights.tensor_files import opened, read_tensors, tensor_names
from pathplugins.weights.training_file import lazy_tensors

Lazy = dict[str, Callable[[], Tensor]]
"""Name of a tensor -> function that reads it, on the CPU."""


def lazy_file(path: Path) -> Lazy:
    """The named tensors of a ``.safetensors`` or PyTorch file; nothing in it runs.

    Raises:
        CheckpointError: There is no such file, or it is damaged, or holds no dictionary of tensors.
    """
    if path.suffix == ".safetensors":
        return {name: partial(_stored, path, name) for name in tensor_names(path)}
    if zipfile.is_zipfile(path):
        return lazy_tensors(path)
    return {name: partial(_held, value) for name, value in read_tensors(path).items()}  # before PyTorch 1.6


def _stored(path: Path, name: str) -> Tensor:
    with opened(path) as file:
        return file.get_tensor(name)


def _held(value: Tensor) -> Tensor:
    return value
