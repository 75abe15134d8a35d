"""Weights by name, each read from its file when asked for, so that a large model is never in memory twice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from pathplugins.weights.stored import Stored

if TYPE_CHECKING:
    from torch import Tensor


class Weights(Mapping[str, "Tensor"]):
    """Tensors of one or several files; ``weights[name]`` reads one, on the CPU, each time anew.

    Attributes:
        stored: name -> `Stored`, from which types and shapes are known without reading.
        container: entry of the file below which the tensors lay (``state_dict``), empty for the file itself.
    """

    def __init__(self, stored: Mapping[str, Stored], *, container: str = "") -> None:
        self.stored, self.container = dict(stored), container

    def __getitem__(self, name: str) -> Tensor:
        return self.stored[name].read()

    def __iter__(self) -> Iterator[str]:
        return iter(self.stored)

    def __len__(self) -> int:
        return len(self.stored)

    def __contains__(self, name: object) -> bool:
        return name in self.stored

    def names(self) -> list[str]:
        """Return the names, in the order of the file."""
        return list(self.stored)

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a tensor without reading it."""
        return self.stored[name].shape

    def dtype(self, name: str) -> str:
        """Return torch's name of a tensor's type (``bfloat16``) without reading it."""
        return self.stored[name].dtype

    def containing(self, text: str) -> Weights:
        """Return the weights with ``text`` in their names."""
        return Weights({name: value for name, value in self.stored.items() if text in name}, container=self.container)
