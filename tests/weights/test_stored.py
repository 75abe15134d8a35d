"""Types of stored tensors."""

from __future__ import annotations

import pytest
import torch

from pathplugins.weights.stored import BYTES


@pytest.mark.parametrize("name", sorted(BYTES))
def test_every_type_is_one_of_torch_with_so_many_bytes(name: str) -> None:
    if not hasattr(torch, name):
        pytest.skip(f"this torch has no {name}")
    assert torch.empty(1, dtype=getattr(torch, name)).element_size() == BYTES[name]
