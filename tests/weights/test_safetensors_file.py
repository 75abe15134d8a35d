"""Tensors of a safetensors file, by its header."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from pathplugins.core.errors import CheckpointError
from pathplugins.weights.safetensors_file import stored_in_safetensors

TYPES = ["float32", "float16", "bfloat16", "float64", "int64", "int32", "int16", "int8", "uint8", "bool"]


@pytest.mark.parametrize("name", TYPES)
def test_types_shapes_and_rows(tmp_path: Path, name: str) -> None:
    value = torch.arange(21).view(7, 3).to(getattr(torch, name))
    save_file({"a.x": value, "one": value[0, 0].clone()}, tmp_path / "a.safetensors")
    stored = stored_in_safetensors(tmp_path / "a.safetensors")
    assert {key: (entry.dtype, entry.shape) for key, entry in stored.items()} == {
        "a.x": (name, (7, 3)),
        "one": (name, ()),
    }
    assert torch.equal(stored["a.x"].read(), value)
    assert torch.equal(stored["a.x"].rows(2, 5), value[2:5])
    assert torch.equal(stored["a.x"].rows(5, 99), value[5:])


def test_a_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_file({"a": torch.ones(30)}, path)
    whole = path.read_bytes()
    for length in (9, 40, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match=r"a\.safetensors: not a whole safetensors file .*download it again"):
            stored_in_safetensors(path)
