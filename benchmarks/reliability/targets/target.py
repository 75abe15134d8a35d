"""A kind of file that is fuzzed, and the makers of its contents that several kinds need."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

Read = Callable[[Path], object]


@dataclass(frozen=True, kw_only=True)
class Target:
    """Files of one kind, and how they are read."""

    name: str
    read: Read
    """Takes the file; may write into the folder of the file, and nowhere else."""
    seeds: Mapping[str, bytes]
    """Name -> content of each well-formed file."""
    text: bool = False
    """Whether people edit such files."""
    apart: bool = False
    """Whether the product reads such files in workers too, whose death it reports as a failure of that file."""


def content(folder: Path, name: str, write: Callable[[Path], object]) -> bytes:
    """Return what a function writes as a file."""
    path = folder / name
    write(path)
    return path.read_bytes()


def lines(*rows: object) -> bytes:
    """Return JSON lines."""
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def saved(value: object) -> bytes:
    """Return arrays, or a dict of them, as torch saves them."""
    import torch

    def tensors(value: object) -> object:
        if isinstance(value, dict):
            return {name: tensors(held) for name, held in value.items()}
        return torch.from_numpy(value.copy()) if isinstance(value, np.ndarray) else value

    file = io.BytesIO()
    torch.save(tensors(value), file)
    return file.getvalue()
