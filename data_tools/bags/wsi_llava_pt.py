"""Read feature tensors of torch: WSI-LLaVA's ``[576, 1024]``, CLAM's ``pt_files`` ``[N, D]``; no positions.

A leading axis of one, gradients and a dictionary around the tensor are looked through. WSI-LLaVA's rows are not
patches: they are slide-encoder tokens pooled to 576 and padded with zero channels from 768.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.optional import need
from pathplugins.weights.file import described, file_content
from pathplugins.weights.strided import Strided

from .base import Geometry, Opened, Source

FEATURES = ("features", "feats", "feat", "embeddings", "embedding", "x")
"""Names under which tools keep features in a dictionary, in this order."""
_BLOCK_ROWS = 2048
_FLOATS = ("float32", "float16", "bfloat16", "float64")


def sources(path: Path, kind: str) -> list[Source]:
    """Return the one slide of the file."""
    return [Source(path=path, kind=kind, slide_id=path.stem)]


@contextmanager
def open_source(source: Source) -> Iterator[Opened]:
    """Open the tensor as data only: nothing in the file is run, and it stays on disk until a block is asked for."""
    need("torch")
    tensor, notes = _features(source.path)
    n, d = tensor.shape
    if empty := _empty_channels(tensor):
        notes = (*notes, f"the last {empty} of {d} channels are zero in every row: padding, kept")
    yield Opened(
        rows=n,
        width=d,
        dtype=tensor.dtype,
        blocks=map(_array, _blocks(tensor)),
        geometry=Geometry(),
        coords_xy=None,
        notes=notes,
    )


def _features(path: Path) -> tuple[Strided, tuple[str, ...]]:
    """Return the features in a file ``[N, D]``, and notes on what else it holds.

    Raises:
        PathPluginsError: it holds no such tensor, or several of which none has a usual name.
    """
    content = file_content(path)
    notes: tuple[str, ...] = ()
    if isinstance(content, list | tuple) and len(content) == 1:
        content = content[0]
    if isinstance(content, Mapping):
        fit = {str(name): value for name, value in content.items() if isinstance(value, Strided) and _is_rows(value)}
        name = next((name for name in FEATURES if name in fit), None) or (next(iter(fit)) if len(fit) == 1 else None)
        if name is None:
            held = ", ".join(f"{key}: {described(value)}" for key, value in list(content.items())[:10]) or "nothing"
            raise PathPluginsError(
                f"{path}: a dictionary of {held}; expected the features (N, D) under {', '.join(FEATURES)}: save the "
                "tensor alone, torch.save(features, FILE)"
            )
        if others := [str(key) for key in content if str(key) != name]:
            notes = (f"took {name!r} of a dictionary; {', '.join(others[:10])} left out",)
        content = fit[name]
    if not isinstance(content, Strided) or not _is_rows(content):
        raise PathPluginsError(
            f"{path}: holds {described(content)}, expected one tensor of floats [N, D], a row per patch; save the "
            "features alone, torch.save(features, FILE)"
        )
    if len(content.shape) == 3:
        content = replace(content, shape=content.shape[1:], stride=content.stride[1:])
    return content, notes


def _is_rows(tensor: Strided) -> bool:
    """Return whether a tensor may be features: floats ``[N, D]`` or ``[1, N, D]``, wider than positions are."""
    rank = len(tensor.shape) - (len(tensor.shape) == 3 and tensor.shape[0] == 1)
    return rank == 2 and tensor.dtype in _FLOATS and 0 not in tensor.shape and tensor.shape[-1] > 2


def _blocks(tensor: Strided) -> Iterator[Any]:
    """Yield the rows [<= 2048, D], in order."""
    return (tensor.rows(start, start + _BLOCK_ROWS) for start in range(0, tensor.shape[0], _BLOCK_ROWS))


def _empty_channels(tensor: Strided) -> int:
    """Return how many of the last channels are zero in every row."""
    used = [int(held.max()) for block in _blocks(tensor) if len(held := (block != 0).any(dim=0).nonzero())]
    return tensor.shape[1] - (max(used) + 1 if used else 0)


def _array(block: Any) -> np.ndarray:
    block = block.detach()
    return (block.float() if str(block.dtype) == "torch.bfloat16" else block).numpy()
