"""One file: its tensors by name, or what it holds instead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from pathplugins.core.errors import CheckpointError
from pathplugins.weights.file import file_weights

STATE = {"a.x": torch.arange(3.0), "b.x": torch.ones(2, 2)}


@pytest.mark.parametrize("name", ["weights.bin", "weights.pth", "weights.safetensors"])
def test_tensors_by_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    save_file(STATE, path) if path.suffix == ".safetensors" else torch.save({"model": {**STATE, "epoch": 3}}, path)
    weights = file_weights(path)
    assert weights.names() == list(STATE)
    assert weights.container == ("" if path.suffix == ".safetensors" else "model")
    assert torch.equal(weights["b.x"], STATE["b.x"])


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize(
    ("content", "got"),
    [
        ([torch.ones(2)], "a list"),
        (nn.Linear(2, 3), "a Python object torch.nn.modules.linear.Linear"),
        (torch.ones(2, 3), r"a tensor float32 \(2, 3\)"),
        (None, "a NoneType"),
    ],
)
def test_what_is_no_dictionary_is_named(tmp_path: Path, content: Any, got: str, old: bool) -> None:
    torch.save(content, tmp_path / "a.pth", _use_new_zipfile_serialization=not old)
    with pytest.raises(CheckpointError, match=rf"a\.pth: wanted a dictionary of tensors, got {got}; save its state"):
        file_weights(tmp_path / "a.pth")
