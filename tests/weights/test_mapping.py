"""Weights by name: types and shapes without reading, values each time anew."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pathplugins.weights import Stored, Weights


@dataclass(frozen=True)
class Counted(Stored):
    reads: list[str]

    def read(self) -> Tensor:
        self.reads.append("all")
        return torch.arange(float(self.numel)).view(self.shape)

    def rows(self, start: int, stop: int) -> Tensor:
        raise NotImplementedError


def test_nothing_is_read_before_a_tensor_is_asked_for() -> None:
    reads: list[Any] = []
    weights = Weights({"a.x": Counted("float32", (2, 3), reads), "b.x": Counted("float32", (), reads)}, container="c")
    assert (len(weights), weights.names(), list(weights.keys())) == (2, ["a.x", "b.x"], ["a.x", "b.x"])
    assert (weights.shape("a.x"), weights.dtype("a.x"), weights.stored["a.x"].numel) == ((2, 3), "float32", 6)
    assert weights.stored["b.x"].numel == 1
    assert "a.x" in weights
    assert "y" not in weights
    assert weights.containing("a.").names() == ["a.x"]
    assert weights.containing("a.").container == "c"
    assert reads == []
    assert dict(weights.containing("a."))["a.x"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert reads == ["all"]
    assert weights.get("y") is None
