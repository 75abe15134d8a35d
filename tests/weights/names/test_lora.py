"""Names of LoRA weights: as PEFT, LLaVA and XTuner save them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from pathplugins.core.errors import CheckpointError
from pathplugins.weights import open_weights
from pathplugins.weights.names.lora import lora_pairs


def stored(folder: Path, state: dict[str, Any]) -> Any:
    torch.save(state, folder / "adapter.bin")
    return open_weights(folder / "adapter.bin").stored


@pytest.mark.parametrize(
    ("before", "behind"),
    [("base_model.model.", ""), ("llm.base_model.model.", ""), ("module.llm.base_model.model.", ".default")],
)
def test_pairs_are_found_by_module(tmp_path: Path, before: str, behind: str) -> None:
    module = f"{before}model.layers.3.mlp.up_proj"
    state = {
        f"{module}.lora_A{behind}.weight": torch.zeros(4, 6),
        f"{module}.lora_B{behind}.weight": torch.zeros(9, 4),
        "projector.model.norm.weight": torch.zeros(2),
    }
    pairs, rest = lora_pairs(stored(tmp_path, state), where="here")
    assert [*pairs] == ["model.layers.3.mlp.up_proj"]
    pair = pairs["model.layers.3.mlp.up_proj"]
    assert (pair.rank, pair.down.shape, pair.up.shape) == (4, (4, 6), (9, 4))
    assert [*rest] == ["projector.model.norm.weight"]


@pytest.mark.parametrize(
    ("shapes", "said"),
    [({"A": (4, 6)}, "one of lora_A and lora_B alone"), ({"A": (4, 6), "B": (9, 5)}, "do not go together")],
)
def test_half_a_pair_is_refused(tmp_path: Path, shapes: dict[str, tuple[int, int]], said: str) -> None:
    state = {f"base_model.model.q.lora_{side}.weight": torch.zeros(shape) for side, shape in shapes.items()}
    with pytest.raises(CheckpointError, match=said):
        lora_pairs(stored(tmp_path, state), where="here")
