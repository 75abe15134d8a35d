"""Read feature tensors of torch: WSI-LLaVA's ``[576, 1024]``, CLAM's ``pt_files`` ``[N, D]``; no positions.

WSI-LLaVA's rows are not patches: they are slide-encoder tokens pooled to 576 and padded with zero channels from 768.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from pathplugins.core.errors import PathPluginsError
from pathplugins.core.optional import need
from pathplugins.weights import Stored, open_tensor

from .base import Geometry, Opened, Source

_BLOCK_ROWS = 2048
_FLOATS = ("float32", "float16", "bfloat16", "float64")


def sources(path: Path, kind: str) -> list[Source]:
    """Return the one slide of the file."""
    return [Source(path=path, kind=kind, slide_id=path.stem)]


@contextmanager
def open_source(source: Source) -> Iterator[Opened]:
    """Open the tensor as data only: nothing in the file is run, and it stays on disk until a block is asked for."""
    tensor = _tensor(source.path)
    n, d = tensor.shape
    empty = _empty_channels(tensor)
    note = f"the last {empty} of {d} channels are zero in every row: padding, kept" if empty else None
    yield Opened(
        rows=n,
        width=d,
        dtype=tensor.dtype,
        blocks=map(_array, _blocks(tensor)),
        geometry=Geometry(),
        coords_xy=None,
        notes=(note,) if note else (),
    )


def _tensor(path: Path) -> Stored:
    need("torch")
    tensor = open_tensor(path)
    if len(tensor.shape) != 2 or tensor.dtype not in _FLOATS or 0 in tensor.shape:
        got = f"{tensor.dtype} {tensor.shape}"
        raise PathPluginsError(f"{path}: holds {got}, expected one tensor of floats [N, D], a row per patch")
    return tensor


def _blocks(tensor: Stored) -> Iterator[Any]:
    """Yield the rows [<= 2048, D], in order."""
    return (tensor.rows(start, start + _BLOCK_ROWS) for start in range(0, tensor.shape[0], _BLOCK_ROWS))


def _empty_channels(tensor: Stored) -> int:
    """Return how many of the last channels are zero in every row."""
    used = [int(held.max()) for block in _blocks(tensor) if len(held := (block != 0).any(dim=0).nonzero())]
    return tensor.shape[1] - (max(used) + 1 if used else 0)


def _array(block: Any) -> np.ndarray:
    return (block.float() if str(block.dtype) == "torch.bfloat16" else block).numpy()
