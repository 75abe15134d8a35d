"""Content and weights of one file, whichever kind it is."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pathplugins.core.errors import CheckpointError
from pathplugins.weights.containers import tensors_of, unwrapped
from pathplugins.weights.file_kind import kind_of
from pathplugins.weights.inert_pickle import Inert
from pathplugins.weights.mapping import Weights
from pathplugins.weights.safetensors_file import stored_in_safetensors
from pathplugins.weights.stored import Stored
from pathplugins.weights.torch_archive import archive_content
from pathplugins.weights.torch_legacy import legacy_content


def file_content(path: Path) -> Any:
    """Return the content of a file with every tensor as a `Stored`; nothing in it is built or run."""
    kind = kind_of(path)
    if kind == "safetensors":
        return stored_in_safetensors(path)
    return archive_content(path) if kind == "archive" else legacy_content(path)


def file_weights(path: Path) -> Weights:
    """Return the named tensors of a file, from below the container that it keeps them in.

    Raises:
        CheckpointError: The file is missing, damaged, or holds no dictionary of tensors.
    """
    content, container = unwrapped(file_content(path))
    if not isinstance(content, Mapping):
        raise CheckpointError(
            f"{path}: wanted a dictionary of tensors, got {described(content)}; save its state dict alone"
        )
    return Weights(tensors_of(content), container=container)


def described(content: Any) -> str:
    """Return in words what a file holds: ``a list``, ``a tensor float32 (3, 4)``, ``a Python object numpy.ndarray``."""
    if isinstance(content, Stored):
        return f"a tensor {content.dtype} {content.shape}"
    if isinstance(content, Inert) or (isinstance(content, type) and issubclass(content, Inert)):
        return f"a Python object {content.named}"
    return f"a {type(content).__name__}"
