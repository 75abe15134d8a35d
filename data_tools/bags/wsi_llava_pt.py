"""Feature tensors of torch: WSI-LLaVA's ``[576, 1024]``, CLAM's ``pt_files`` ``[N, D]``; no positions.

WSI-LLaVA's rows are not patches: they are slide-encoder tokens pooled to 576 and padded with zero channels from 768.
"""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from pathplugins.core.errors import PathPluginsError

from ..optional import need
from .base import Geometry, Opened, Source

_BLOCK_ROWS = 2048


def sources(path: Path, kind: str) -> list[Source]:
    """The one slide of the file."""
    return [Source(path=path, kind=kind, slide_id=path.stem)]


@contextmanager
def open_source(source: Source) -> Iterator[Opened]:
    """Open it, as data only: code in the file is refused, not run."""
    tensor = _load(source.path)
    if getattr(tensor, "ndim", None) != 2 or not tensor.is_floating_point() or 0 in tensor.shape:
        got = f"{tensor.dtype} {tuple(tensor.shape)}" if hasattr(tensor, "shape") else f"a {type(tensor).__name__}"
        raise PathPluginsError(f"{source.path}: holds {got}, expected one tensor of floats [N, D], a row per patch")
    n, d = tensor.shape
    empty = _empty_channels(tensor)
    note = f"the last {empty} of {d} channels are zero in every row: padding, kept" if empty else None
    yield Opened(
        rows=n,
        width=d,
        dtype=str(tensor.dtype).removeprefix("torch."),
        blocks=(_array(tensor[start : start + _BLOCK_ROWS]) for start in range(0, n, _BLOCK_ROWS)),
        geometry=Geometry(),
        coords_xy=None,
        notes=(note,) if note else (),
    )


def _load(path: Path) -> Any:
    torch = need("torch")
    try:
        mapped = zipfile.is_zipfile(path)  # what torch 1.6 and later write can stay on disk until it is used
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, KeyError) as error:
        reason = str(error).partition("\n")[0]
        raise PathPluginsError(f"{path}: is no file of plain tensors ({reason}); copy or extract it again") from error


def _empty_channels(tensor: Any) -> int:
    """How many of the last channels are zero in every row."""
    used = (tensor != 0).any(dim=0).nonzero()
    return tensor.shape[1] - (int(used.max()) + 1 if len(used) else 0)


def _array(block: Any) -> np.ndarray:
    return (block.float() if str(block.dtype) == "torch.bfloat16" else block).numpy()
