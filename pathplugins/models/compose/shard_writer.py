"""Write a large model tensor by tensor: safetensors shards of bounded size and the index over them."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from pathplugins.core.files import write_json
from pathplugins.weights.model_folder import INDEX

SHARD_BYTES = 2 * 1024**3
"""Held in memory before a shard is written; the largest matrix of a 13B model is 0.3 GiB."""


class ShardWriter:
    """Collect tensors and write a shard whenever they fill one; to be used in a ``with`` block.

    The directory holds ``model.safetensors``, or ``model-NNNNN-of-NNNNN.safetensors`` and the index, once it ends well.
    """

    def __init__(self, folder: Path, *, shard_bytes: int = SHARD_BYTES) -> None:
        self.folder, self.shard_bytes = folder, shard_bytes
        self._held: dict[str, Tensor] = {}
        self._held_bytes = self._total = 0
        self._names: list[list[str]] = []

    def __enter__(self) -> ShardWriter:
        self.folder.mkdir(parents=True, exist_ok=True)
        return self

    def add(self, name: str, value: Tensor) -> None:
        """Add a tensor; it is on the disk when the block has ended."""
        size = value.numel() * value.element_size()
        if self._held and self._held_bytes + size > self.shard_bytes:
            self._write()
        self._held[name] = value.contiguous()
        self._held_bytes += size

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            return
        if self._held or not self._names:
            self._write()
        count = len(self._names)
        if count == 1:
            self._shard(0).rename(self.folder / "model.safetensors")
            return
        weight_map = {}
        for number, names in enumerate(self._names):
            final = f"model-{number + 1:05d}-of-{count:05d}.safetensors"
            self._shard(number).rename(self.folder / final)
            weight_map |= dict.fromkeys(names, final)
        write_json(self.folder / INDEX, {"metadata": {"total_size": self._total}, "weight_map": weight_map})

    def _write(self) -> None:
        save_file(self._held, self._shard(len(self._names)), metadata={"format": "pt"})
        self._names.append(list(self._held))
        self._total += self._held_bytes
        self._held, self._held_bytes = {}, 0

    def _shard(self, number: int) -> Path:
        return self.folder / f".shard-{number:05d}.safetensors"
